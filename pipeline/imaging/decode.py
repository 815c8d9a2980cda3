"""Untrusted bytes to checked pixels.

The only module that lets a decoder see an image somebody else made. ``Image.open`` reaches a parser
for every format Pillow knows; here the list is closed, a file is given to the parser of its kind
alone, and the pixel count is checked before decoding.
"""

from __future__ import annotations

import contextlib
import io
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging import codecs
from pipeline.imaging.codecs import Decoded
from pipeline.imaging.color import RGB, Gray, to_8_bits
from pipeline.imaging.errors import (
    NO_FILE,
    OUT_OF_MEMORY,
    SIGNED_SAMPLES,
    UNKNOWN_SAMPLES,
    AccessError,
    ImageError,
    decoding,
    is_of_unknown_samples,
    no_image,
)
from pipeline.imaging.formats import mpo, strict_jpeg
from pipeline.imaging.formats.boxes import jp2_codestream
from pipeline.imaging.formats.directories import (
    is_misread,
    is_signed,
    layout_of,
    picture_places,
    read_directories,
)
from pipeline.imaging.kinds import BY_PILLOW, BY_SUFFIX, KINDS, SUFFIXES, Kind, sniff
from pipeline.imaging.orientation import lies_on_its_side, orientation_of, turned_upright
from pipeline.imaging.srgb import to_srgb

EXTENSIONS = {kind.label: f".{kind.name}" for kind in KINDS}
"""The extension each format is given."""

SUFFIX_FORMATS = {suffix: kind.label for suffix, kind in BY_SUFFIX.items()}
"""The extensions, in lower case, that each format goes by."""

__all__ = [
    "RGB",
    "SUFFIXES",
    "AccessError",
    "Gray",
    "ImageError",
    "Photo",
    "open_photo",
    "read_bytes",
]

DEFAULT_MAX_PIXELS = 250_000_000
ANY_PIXELS = sys.maxsize
"""As ``max_pixels``, for photos that a limit was applied to before."""
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Photo:
    """A decoded photo: upright, sRGB, without transparency."""

    pixels: RGB
    format: str
    """The label of its kind (:mod:`pipeline.imaging.kinds`), from the content."""
    frames: int
    changes: tuple[str, ...]
    """What had to be done to the pixels, in order; empty when the file's pixels are the photo."""
    size: tuple[int, int]
    """Width and height of the whole photo, upright; ``pixels`` are fewer if that was asked for."""
    pages: int = 1
    """Of the document that it is a page of."""

    @property
    def image(self) -> Image.Image:
        """A new image of the pixels, in mode RGB, without the file's metadata."""
        return Image.fromarray(self.pixels)


def open_photo(
    source: Path | bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: int | None = None,
    *,
    strict: bool = False,
    page: int = 0,
) -> Photo:
    """Decode a photo of unknown origin into upright sRGB pixels without transparency.

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, 16-bit and floating
    point samples scaled to 8 bits by their range, transparency composited on white; of an
    animation the first frame is taken, of a document one page.

    Args:
        source: a file, or its bytes.
        max_pixels: a photo of more is refused before it is decoded.
        at_least: a JPEG may be decoded at a half, a quarter or an eighth of its size as long as
            both sides keep this many pixels. That is several times as fast, and a truncated file
            is still noticed, because its compressed data are read to the end.
        strict: refuse a JPEG that is damaged within; else it is gray from there on.
        page: of a document, from 0.

    Raises:
        ImageError: the file is missing, no image of a known kind, truncated, has more than
            ``max_pixels`` pixels, or memory ran out.
    """
    return open_document(source, max_pixels, at_least, strict=strict).read(page)


@dataclass(frozen=True)
class Document:
    """A file of which the head is read: pages, or the one picture of a photo."""

    pages: int
    read: Callable[[int], Photo]
    """Decodes a page, from 0, and raises :class:`ImageError` as :func:`open_photo` does."""


def open_document(
    source: Path | bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: int | None = None,
    *,
    strict: bool = False,
) -> Document:
    """Open a file whose pages are wanted, each as :func:`open_photo` gives it.

    Raises:
        ImageError: the file is missing, no image of a known kind or damaged in its head.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    kind = sniff(data)
    if kind is None:
        raise no_image(data)
    if kind.label == "JPEG":
        files = [picture.file for picture in mpo.pictures(data)[0]]

        def read_jpeg(page: int) -> Photo:
            photo = _open_jpeg(files[page], max_pixels, at_least, strict=strict)
            return photo if len(files) == 1 else replace(photo, pages=len(files))

        return Document(len(files), read_jpeg)
    if not kind.pillow:
        opened = codecs.open_with_codec(data, kind, max_pixels)
        return Document(opened.pages, lambda page: _of_codec(opened.decode(page), kind))
    if kind.label == "TIFF":
        reader = _TiffReader(data, kind, max_pixels)
        return Document(len(reader.places), reader.read)
    if kind.label == "JPEG 2000":
        return Document(1, lambda _: _open_jpeg2000(data, kind, max_pixels))
    return Document(1, lambda _: _of_pillow(open_image(data, max_pixels)))


class _TiffReader:
    """Reads the pages of a TIFF: by Pillow, and what that does not know by codecs."""

    def __init__(self, data: bytes, kind: Kind, max_pixels: int) -> None:
        self._data, self._kind, self._max_pixels = data, kind, max_pixels
        self._image: Image.Image | None = None
        self.places = picture_places(data)
        """Of the pages, among the directories."""
        self._misread: list[bool] = []
        """For each directory, whether Pillow makes another picture of it."""
        self._signed: list[bool] = []
        """For each directory, whether nothing says which of its numbers is white."""
        if (layout := layout_of(data)) is not None:
            for directory in read_directories(data):
                self._misread.append(is_misread(directory, layout))
                self._signed.append(is_signed(directory, layout))

    def read(self, page: int) -> Photo:
        """Decode a page; one after the other they take the least time."""
        place = self.places[page]
        if any(self._signed[place : place + 1]):
            raise ImageError(SIGNED_SAMPLES)
        try:
            with decoding():
                if any(self._misread[place : place + 1]):
                    raise ImageError(UNKNOWN_SAMPLES)
                photo = _of_pillow(self._at(place))
        except ImageError as error:
            self._image = None
            decoded = codecs.decode_unusual_tiff(
                self._data, place, self._max_pixels, anyway=is_of_unknown_samples(error)
            )
            if decoded is None:
                raise
            photo = _of_codec(decoded, self._kind)
        return replace(photo, pages=len(self.places))

    def _at(self, place: int) -> Image.Image:
        """Return the opened file at a page that was not loaded: a loaded one forgets its turn."""
        if self._image is None or place <= self._image.tell():
            self._image = open_image(self._data, self._max_pixels)
        if place:
            self._image.seek(place)
            codecs.check_size(self._image.size, self._max_pixels)
        return self._image


def _open_jpeg(data: bytes, max_pixels: int, at_least: int | None, *, strict: bool) -> Photo:
    if strict:
        photo = _open_plain_jpeg(data, max_pixels, at_least)
        if photo is not None:
            return photo
    image = open_image(data, max_pixels)
    with decoding():
        size = image.size
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        pixels = _decode_strictly(data, image) if strict else None
        return _of_pillow(image, pixels, size)


def _open_jpeg2000(data: bytes, kind: Kind, max_pixels: int) -> Photo:
    image = open_image(data, max_pixels)
    bits, channels = codecs.samples_of_jpeg2000(jp2_codestream(data))
    if bits > 8 and channels > 1:
        return _of_codec(Decoded(codecs.decode_wide_jpeg2000(data, bits)), kind)
    return _of_pillow(image)


def _of_pillow(
    image: Image.Image,
    pixels: NDArray[np.uint8] | None = None,
    size: tuple[int, int] | None = None,
) -> Photo:
    """Take the photo that Pillow has opened.

    Args:
        image: not loaded yet.
        pixels: of it, where they were decoded otherwise.
        size: of the whole photo, where fewer pixels are decoded.
    """
    with decoding():
        size = size or image.size
        # Asked for its EXIF, a PNG is loaded, and what is damaged in it would not be said.
        if image.format == "PNG":
            image.load()
        # Before it is loaded: a TIFF is turned then, and forgets that it was.
        orientation = orientation_of(image)
        kind = BY_PILLOW[str(image.format)]
        frames = int(getattr(image, "n_frames", 1)) if kind.sequence == "frames" else 1
        changes = ["turned upright"] if orientation > 1 else []
        profile = image.info.get("icc_profile")
        if pixels is None or pixels.ndim == 2 or profile:
            loaded = image if pixels is None else Image.fromarray(pixels)
            loaded.load()
            pixels = np.asarray(to_srgb(loaded, profile, changes))
        if image.format == "TIFF":
            size = image.size
        else:
            pixels = turned_upright(pixels, orientation)
            size = size[::-1] if lies_on_its_side(orientation) else size
        return Photo(pixels, kind.label, frames, tuple(changes), size)


def _of_codec(decoded: Decoded, kind: Kind) -> Photo:
    """Take what a codec has decoded."""
    changes = [] if decoded.orientation == 1 else ["turned upright"]
    if decoded.pixels.dtype == np.uint16:
        changes.append("16 bits to 8")
    image = Image.fromarray(to_8_bits(decoded.pixels))
    upright = turned_upright(np.asarray(to_srgb(image, decoded.icc, changes)), decoded.orientation)
    size = (upright.shape[1], upright.shape[0])
    return Photo(upright, kind.label, decoded.frames, tuple(changes), size, decoded.pages)


def _open_plain_jpeg(data: bytes, max_pixels: int, at_least: int | None) -> Photo | None:
    """Decode a JPEG that holds nothing but a picture, as most do, without Pillow.

    That takes half of the time for a small photo.

    Returns:
        None for any other file, and for one of more than ``max_pixels``.

    Raises:
        ImageError: the picture is damaged.
    """
    size = strict_jpeg.plain_size(data)
    if size is None or size[0] * size[1] > max_pixels:
        return None
    # As Pillow shrinks; libjpeg knows steps in between.
    most = 1 if at_least is None else min(size) // at_least
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= max(most, 1))
    pixels = strict_jpeg.decode(data, "RGB", (-(-size[0] // scale), -(-size[1] // scale)))
    return None if pixels is None else Photo(pixels, "JPEG", 1, (), size)


def _decode_strictly(data: bytes, image: Image.Image) -> NDArray[np.uint8] | None:
    """Decode an opened JPEG to the size that ``image`` has.

    Returns:
        Pixels (H, W, 3) or, of a gray photo, (H, W); None if Pillow has to decode it.

    Raises:
        ImageError: the picture is damaged.
    """
    if image.mode not in {"RGB", "L"}:
        strict_jpeg.decode(data, "CMYK")
        return None
    pixels = strict_jpeg.decode(data, "RGB" if image.mode == "RGB" else "GRAY", image.size)
    return pixels if pixels is not None and pixels.shape[1::-1] == image.size else None


def wide_samples(data: bytes, page: int = 0) -> NDArray[np.uint16] | None:
    """Return colors of 16 bits, of which Pillow keeps the upper 8; None if there are none.

    Returns:
        (H, W, 3) or (H, W, 4), blue first; a TIFF upright, a PNG as stored.
    """
    buffer = np.frombuffer(data, np.uint8)
    if page:
        _, found = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
        pixels = found[0] if found else None
    else:
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return np.asarray(pixels, np.uint16)


@contextlib.contextmanager
def reading(source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """Open ``source`` with Pillow and load its pixels as they are.

    Raises:
        ImageError: as :func:`open_photo` says.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    with open_image(data, max_pixels) as image:
        with decoding():
            image.load()
        yield image


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Open with Pillow, by the parser of the content's kind, but decode nothing; the caller closes.

    Raises:
        ImageError: it is no image of a kind that Pillow reads, its head is damaged, or it has more
            than ``max_pixels`` pixels.
    """
    kind = sniff(data)
    if kind is None or not kind.pillow:
        raise no_image(data)
    with decoding(), _no_limit_of_pillow():
        # Pillow's reader of JPEG opens MPO too; one of MPO alone is not registered.
        formats = [name for name in kind.pillow if name != "MPO"]
        image = Image.open(io.BytesIO(data), formats=formats)
        clear = image.info.get("transparency")
        if image.format == "PNG" and image.mode == "L" and isinstance(clear, int):
            # Pillow scales samples of 2 and 4 bits to 8, and not the one that is transparent.
            image.info["transparency"] = clear * 255 // ((1 << data[24]) - 1)
    codecs.check_size(image.size, max_pixels)
    return image


@contextlib.contextmanager
def _no_limit_of_pillow() -> Iterator[None]:
    """Let pictures of any size be opened in the block: ``max_pixels`` is the limit here.

    Pillow's holds for the whole process, whose other parts may rely on it: it comes back at once.
    """
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


_OPENING = threading.Lock()


def luma_of(image: Image.Image) -> Gray:
    """Return the gray version of an RGB image as Pillow makes it: Rec. 601 luma, (H, W), uint8."""
    return np.asarray(image.convert("L"))


def read_bytes(path: Path | str) -> bytes:
    """Read a photo's file whole.

    Raises:
        AccessError: it is missing or may not be read.
        ImageError: it is not a regular file, or larger than any photo.
    """
    path = Path(path)
    try:
        status = path.stat()
        # Opening a named pipe would wait for somebody to write into it.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(NO_FILE)
        if status.st_size > MAX_BYTES:
            raise ImageError(f"{status.st_size} bytes is more than {MAX_BYTES}, the limit")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise AccessError("the file is not there") from error
    except OSError as error:
        raise AccessError(f"the file could not be read ({error.strerror})") from error
    except MemoryError as error:
        raise ImageError(OUT_OF_MEMORY) from error
