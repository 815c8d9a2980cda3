"""TIFF and BigTIFF of 8 and 16 bits: pages, tags byte for byte, strips or tiles.

Neither Pillow nor tifffile writes colors of 16 bits with EXIF's directories, and both rewrite tags:
:mod:`pipeline.imaging.formats.directories` does it here. Pixels are read by Pillow and OpenCV, and
what libtiff lacks by tifffile. Source: TIFF 6.0 (Adobe 1992) and its technical note on Deflate
(2002).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from PIL import Image

from pipeline.imaging.codecs import check_size, decode_tiff_page, tiff_encoder
from pipeline.imaging.color import Samples
from pipeline.imaging.decode import open_image, wide_samples
from pipeline.imaging.errors import (
    SIGNED_SAMPLES,
    UNKNOWN_SAMPLES,
    ImageError,
    decoding,
    is_of_unknown_samples,
)
from pipeline.imaging.formats import exif, photoshop, xmp
from pipeline.imaging.formats.directories import (
    BITS,
    COMPRESSION,
    ICC,
    LENGTH,
    LONG,
    LONG8,
    PLANES,
    SHORT,
    UNDEFINED,
    WIDTH,
    Directory,
    Entry,
    Layout,
    is_misread,
    is_read_everywhere,
    is_signed,
    layout_of,
    next_offset,
    picture_places,
    read_directories,
    to_exif,
    write_directory,
)
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile, resolution
from pipeline.imaging.formats.pillow_file import (
    UNUSUAL_MODES,
    bytes_of,
    photo_in_srgb,
    with_16_bits,
)
from pipeline.imaging.gray_photo import GrayPhoto, as_stored, from_image, of_array, render
from pipeline.imaging.icc import icc_for_colors, srgb_icc
from pipeline.imaging.kinds import BY_NAME
from pipeline.imaging.orientation import by_exif_alone
from pipeline.imaging.srgb import gray_16

_ROWS = 64
"""Rows in a strip."""
_PHOTOMETRIC, _DESCRIPTION, _OFFSETS, _CHANNELS, _STRIP_ROWS, _COUNTS = 262, 270, 273, 277, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_EXTRA_SAMPLES, _XMP, _IPTC, _PHOTOSHOP = 338, 700, 33723, 34377
_CMYK = 5
_NONE, _LZW, _DEFLATE, _OLD_DEFLATE = 1, 5, 8, 32946

# Tags that describe the samples and where they lie: new samples have new ones. 330 leads to further
# pictures, 37724 holds Photoshop's layers: they would show the old picture.
_STRUCTURE = frozenset(
    {256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289}
    | {290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330}
    | {332, 334, 336, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347, 351, 400, 401, 402, 403}
    | {404, 405, 433, 434, 435, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
    | {559, 33421, 33422, 37724, 50674, 50675, 50676}
)
# DNG's tags that make other programs take a file for sensor data, or hold some (Adobe, DNG 1.7);
# others of its range, such as the camera's model, tell of the photo.
_DNG = frozenset(range(50706, 52600)) - {50708, 50709, 50735, 50736, 50827, 50838, 50839}
_APART = frozenset({_XMP, _IPTC, _PHOTOSHOP, ICC})
_IFD_TYPES = frozenset({13, 18})


@dataclass(frozen=True)
class Own:
    """How a TIFF's page was stored."""

    is_big: bool
    compression: int
    tile: tuple[int, int] | None
    """Height and width."""
    has_iptc_twice: bool
    """Whether Photoshop's resources hold IPTC's records as well."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a TIFF.

    Copies of a page at a lower resolution and masks, as archives keep them beside a scan, are no
    pages.

    Raises:
        ImageError: it is damaged or has more than ``max_pixels`` pixels on a page.
    """
    layout = layout_of(file)
    directories = read_directories(file)
    if layout is None or not directories:
        raise ImageError("damaged (it has no directory of tags)")
    if next_offset(file, directories[-1]) >= len(file):
        raise ImageError("damaged (a page lies behind the end of the file)")
    places = picture_places(file)
    sizes = [_size_of(directories[place], layout) for place in places]
    size = max(sizes, key=lambda one: one[0] * one[1])
    check_size(size, max_pixels)
    reader = _Reader(file, directories, layout, max_pixels)

    def read_page(number: int) -> Page:
        return reader.read(number, places[number])

    bits = max(directories[0].numbers(BITS, layout) or (1,))
    pages = [directories[place] for place in places]
    bits_lost, channels_lost = (
        next(filter(None, (say(page, layout) for page in pages)), "")
        for say in (_lost_bits, _lost_channels)
    )
    note = "; ".join(filter(None, (bits_lost, channels_lost)))
    return PhotoFile(BY_NAME["tif"], size, read_page, len(places), bits=bits, note=note)


def _lost_bits(directory: Directory, layout: Layout) -> str:
    """Say which bits of a page are not kept, if there are such."""
    bits = max(directory.numbers(BITS, layout) or (1,))
    if bits > 8 and directory.numbers(_PHOTOMETRIC, layout) == (_CMYK,):
        return f"of the {bits} bits of its CMYK samples, 8 are read"
    return f"of the {bits} bits of its samples, 16 are read" if bits > 16 else ""


def _lost_channels(directory: Directory, layout: Layout) -> str:
    """Say that a page has more than colors and transparency, as a scan with infrared has."""
    extra = directory.numbers(_EXTRA_SAMPLES, layout)
    lost = len(extra) - (extra[:1] in {(1,), (2,)})
    if not lost:
        return ""
    return f"without {'its further channel' if lost == 1 else f'{lost} further channels'}"


def _size_of(directory: Directory, layout: Layout) -> tuple[int, int]:
    width, height = (next(iter(directory.numbers(t, layout)), 0) for t in (WIDTH, LENGTH))
    if not width or not height:
        raise ImageError("damaged (a page has no size)")
    return width, height


class _Reader:
    """Reads the pages of a file, whose head Pillow reads once as well."""

    def __init__(
        self, file: bytes, directories: list[Directory], layout: Layout, max_pixels: int
    ) -> None:
        self._file = file
        self._directories = directories
        self._layout = layout
        self._max_pixels = max_pixels
        self._opened: Image.Image | None = None

    def read(self, number: int, place: int) -> Page:
        """Decode the page ``number``, whose directory is the one at ``place``."""
        directory = self._directories[place]
        if is_signed(directory, self._layout):
            raise ImageError(SIGNED_SAMPLES)
        metadata, own = _describe(directory, self._layout)
        turned = exif.orientation_of(metadata.exif)
        icc = icc_for_colors(metadata.icc)
        dpi = None
        try:
            if is_misread(directory, self._layout):
                raise ImageError(UNKNOWN_SAMPLES)
            with decoding():
                image = self._image(place)
                # Pillow makes one up where there is none.
                if directory.get(exif.X_RESOLUTION):
                    dpi = resolution(image.info.get("dpi"))
                with by_exif_alone(image):
                    image.load()
                if image.mode in UNUSUAL_MODES:
                    photo = photo_in_srgb(self._file, self._max_pixels, turned, number)
                    icc = srgb_icc() if metadata.icc else None
                else:
                    photo = self._photo(image, directory, place, turned)
        except ImageError as error:
            if is_read_everywhere(directory, self._layout) and not is_of_unknown_samples(error):
                raise
            photo = of_array(decode_tiff_page(self._file, place), turned, metadata.icc)
        return Page(photo, replace(metadata, icc=icc, dpi=dpi), own)

    def _image(self, place: int) -> Image.Image:
        if self._opened is None:
            self._opened = open_image(self._file, self._max_pixels)
        if place or self._opened.tell():
            self._opened.seek(place)
        return self._opened

    def _photo(
        self, image: Image.Image, directory: Directory, place: int, turned: int
    ) -> GrayPhoto:
        icc = bytes_of(image.info.get("icc_profile"))
        photo = of_array(gray_16(image), 1, icc) if image.mode in {"I", "F"} else from_image(image)
        bits = directory.numbers(BITS, self._layout) or (1,)
        if image.mode in {"RGB", "RGBA"} and max(bits) == 16:
            # OpenCV's libtiff has fewer compressions than Pillow's, and says so on the terminal.
            is_known = is_read_everywhere(directory, self._layout)
            pixels = wide_samples(self._file, place) if is_known else None
            if pixels is None:
                return of_array(decode_tiff_page(self._file, place), turned, icc)
            premultiplied = directory.numbers(_EXTRA_SAMPLES, self._layout) == (1,)
            photo = with_16_bits(photo, pixels, premultiplied=premultiplied)
        # Both decoders turn TIFFs upright, and TIFFs only.
        return as_stored(photo, turned)


def metadata_of(file: bytes) -> Metadata:
    """Return what the first page's tags tell of the photo."""
    directory = next(iter(read_directories(file)), Directory())
    return _describe(directory, layout_of(file) or Layout())[0]


def _describe(directory: Directory, layout: Layout) -> tuple[Metadata, Own]:
    """Sort the tags; the profile is the file's own here."""
    kept = Directory(tuple(e for e in directory.entries if _is_descriptive(e)))
    values = {e.tag: e.data for e in reversed(directory.entries) if e.tag in _APART}
    in_block, others = photoshop.split(values.get(_PHOTOSHOP, b""))
    packet = values.get(_XMP)
    metadata = Metadata(
        exif=to_exif(kept, layout) if kept.entries else None,
        xmp=xmp.without_old_pictures(packet) if packet else None,
        iptc=values.get(_IPTC) or in_block,
        photoshop=others,
        icc=bytes_of(values.get(ICC)),
    )
    tile = tuple(
        next(iter(directory.numbers(tag, layout)), 0) for tag in (_TILE_LENGTH, _TILE_WIDTH)
    )
    compression = next(iter(directory.numbers(COMPRESSION, layout)), _NONE)
    has_tiles = all(side > 0 and side % 16 == 0 for side in tile)
    own = Own(
        layout.is_big,
        compression,
        (tile[0], tile[1]) if has_tiles else None,
        has_iptc_twice=in_block is not None and _IPTC in values,
    )
    return metadata, own


def _is_descriptive(entry: Entry) -> bool:
    """Whether a tag tells of the photo, and not of its samples or of places in the file."""
    if entry.tag in _STRUCTURE | _DNG | _APART or entry.kind in _IFD_TYPES:
        return False
    # tifffile notes the shape of the samples here, and believes it.
    return not (entry.tag == _DESCRIPTION and entry.data.startswith(b'{"shape":'))


def write(file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a TIFF of the pages, losslessly, big and tiled if it was so before."""
    stream = io.BytesIO()
    layout: Layout | None = None
    link = 0
    for page, tint in pages:
        if layout is None:
            layout = _layout_for(file, page)
            stream.write(layout.head)
            link = stream.tell()
            stream.write(bytes(layout.word))
        pixels = render(page.photo, tint)
        own = page.own if isinstance(page.own, Own) else Own(False, _DEFLATE, None, False)
        places = _write_samples(stream, pixels, own, layout)
        directory = _directory_for(page, layout).plus(*_structure(pixels, own, layout, *places))
        start = stream.seek(0, io.SEEK_END)
        table, next_link = write_directory(directory, layout, start)
        stream.write(table)
        stream.seek(link)
        stream.write(struct.pack(layout.offset, start))
        link = start + next_link
        stream.seek(0, io.SEEK_END)
    return stream.getvalue()


def encode(pixels: Samples) -> bytes:
    """Encode ``pixels`` (H, W, 3 or 4), red first, uint8 or uint16, without any metadata."""
    layout, own, stream = Layout(), Own(False, _DEFLATE, None, False), io.BytesIO()
    stream.write(layout.head + bytes(layout.word))
    places = _write_samples(stream, pixels, own, layout)
    start = stream.tell()
    directory = Directory().plus(*_structure(pixels, own, layout, *places))
    stream.write(write_directory(directory, layout, start)[0])
    stream.seek(len(layout.head))
    stream.write(struct.pack(layout.offset, start))
    return stream.getvalue()


def _layout_for(file: PhotoFile, page: Page) -> Layout:
    own = layout_of(page.metadata.exif) if page.metadata.exif else None
    bytes_of_all = file.count * file.size[0] * file.size[1] * 4 * (file.bits // 8 or 1)
    was_big = isinstance(page.own, Own) and page.own.is_big
    return replace(own or Layout(), is_big=was_big or bytes_of_all > _MOST_CLASSIC)


_MOST_CLASSIC = 4_000_000_000
"""Bytes of samples that surely leave room for the rest in a TIFF with offsets of 32 bits."""


def _directory_for(page: Page, layout: Layout) -> Directory:
    """Return the tags that tell of the photo."""
    metadata = page.metadata
    directory = Directory()
    if metadata.exif:
        own = layout_of(metadata.exif)
        first = next(iter(read_directories(metadata.exif)), Directory())
        # Values have the byte order of their file: those of another stay out, but there are none
        # unless pages differ.
        if own is not None and own.order == layout.order:
            directory = Directory(tuple(entry for entry in first.entries if _is_descriptive(entry)))
    tags = {entry.tag for entry in directory.entries}
    if metadata.dpi is not None and not {exif.X_RESOLUTION, exif.Y_RESOLUTION} <= tags:
        directory = directory.plus(*exif.resolution_entries(metadata.dpi, layout).entries)
    twice = isinstance(page.own, Own) and page.own.has_iptc_twice
    block = photoshop.joined(metadata.iptc if twice else None, metadata.photoshop)
    return directory.plus(
        *(
            layout.entry(tag, kind, value)
            for tag, kind, value in (
                (_XMP, 1, metadata.xmp),
                (_IPTC, UNDEFINED, metadata.iptc),
                (_PHOTOSHOP, 1, block),
                (ICC, UNDEFINED, metadata.icc),
            )
            if value
        )
    )


def _structure(
    pixels: Samples, own: Own, layout: Layout, offsets: list[int], counts: list[int]
) -> list[Entry]:
    height, width, channels = pixels.shape
    word = LONG8 if layout.is_big else LONG
    entries = [
        layout.entry(WIDTH, LONG, (width,)),
        layout.entry(LENGTH, LONG, (height,)),
        layout.entry(BITS, SHORT, (pixels.itemsize * 8,) * channels),
        layout.entry(COMPRESSION, SHORT, (_encoder(own.compression)[0],)),
        layout.entry(_PHOTOMETRIC, SHORT, (2,)),
        layout.entry(_CHANNELS, SHORT, (channels,)),
        layout.entry(PLANES, SHORT, (1,)),
        layout.entry(_TILE_OFFSETS if own.tile else _OFFSETS, word, offsets),
        layout.entry(_TILE_COUNTS if own.tile else _COUNTS, word, counts),
    ]
    if own.tile:
        entries.append(layout.entry(_TILE_LENGTH, LONG, (own.tile[0],)))
        entries.append(layout.entry(_TILE_WIDTH, LONG, (own.tile[1],)))
    else:
        entries.append(layout.entry(_STRIP_ROWS, LONG, (_ROWS,)))
    if channels == 4:
        entries.append(layout.entry(_EXTRA_SAMPLES, SHORT, (2,)))
    return entries


def _write_samples(
    stream: io.BytesIO, pixels: Samples, own: Own, layout: Layout
) -> tuple[list[int], list[int]]:
    """Write strips or tiles; return the places and lengths of all."""
    _, compress = _encoder(own.compression)
    offsets: list[int] = []
    counts: list[int] = []
    for part in _tiles(pixels, own.tile) if own.tile else _strips(pixels):
        data = compress(part.astype(f"{layout.order}u{pixels.itemsize}", copy=False).tobytes())
        offsets.append(stream.tell())
        counts.append(len(data))
        stream.write(data + bytes(len(data) % 2))
    return offsets, counts


def _strips(pixels: Samples) -> Iterator[Samples]:
    for top in range(0, pixels.shape[0], _ROWS):
        yield pixels[top : top + _ROWS]


def _tiles(pixels: Samples, tile: tuple[int, int]) -> Iterator[Samples]:
    for top in range(0, pixels.shape[0], tile[0]):
        for left in range(0, pixels.shape[1], tile[1]):
            part = pixels[top : top + tile[0], left : left + tile[1]]
            missing = [(0, tile[axis] - part.shape[axis]) for axis in (0, 1)]
            yield cast(Samples, np.pad(part, [*missing, (0, 0)], mode="edge"))


def _encoder(compression: int) -> tuple[int, Callable[[bytes], bytes]]:
    """Return the number and function of a lossless compression: the same, or else Deflate."""
    if compression == _NONE:
        return _NONE, bytes
    if compression not in {_DEFLATE, _OLD_DEFLATE} and (encode := tiff_encoder(compression)):
        return compression, encode
    return _DEFLATE, zlib.compress
