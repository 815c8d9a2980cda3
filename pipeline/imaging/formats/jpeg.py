"""JPEG without ever making RGB: its luma plane in, the same luma plane and new chroma planes out.

A JPEG holds luma and chroma apart, chroma mostly at half the size. So only luma is decoded, chroma
is made at half the size from the network's colors, and luma goes back through an encoder of the
same quality. Sources: ITU-T T.81 (JPEG), T.871 (JFIF), EXIF 2.32 and ICC.1:2022 annex B.4 for the
segments in the file's head.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import simplejpeg

from pipeline.imaging import color
from pipeline.imaging.codecs import check_size
from pipeline.imaging.decode import ANY_PIXELS, Gray, open_image, open_photo
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import exif, mpo, photoshop, strict_jpeg, xmp
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile, resolution
from pipeline.imaging.gray_photo import GrayPhoto, Tint, as_stored
from pipeline.imaging.icc import icc_for_colors, read_profile, srgb_icc
from pipeline.imaging.kinds import BY_NAME
from pipeline.imaging.orientation import valid
from pipeline.imaging.upsampling import band_rows

COMMENT, DQT, SOS, EOI = 0xFE, 0xDB, 0xDA, 0xD9
JFIF, EXIF_OR_XMP, ICC, PHOTOSHOP, ADOBE = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
ICC_HEAD = b"ICC_PROFILE\0"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
XMP_REST_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
_DIGEST = 32
"""Letters of the MD5 behind :data:`XMP_REST_HEAD`; then the length of the whole rest and the place
of this piece in it follow, 4 bytes each (XMP part 3, 1.1.3.1)."""
_REST_START = len(XMP_REST_HEAD) + _DIGEST + 8
# The multi-picture index, whose pictures lie behind the first at offsets that no longer hold, and
# the parameters of a gain map (ISO 21496-1), which is one of these pictures.
_OF_FURTHER_PICTURES = (b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0")
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_LARGEST = 65_533
"""Bytes that a segment holds at most: its length has 16 bits and counts its own two."""

DEFAULT_QUALITY = 92
"""For photos that were no JPEG: no loss that is seen, at a fifth of PNG's size."""

# T.81, table K.1: the luma table from which libjpeg scales those of every quality, in any order,
# for only its sum is needed.
_LUMA_TABLE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True)
class Segment:
    """A segment of a JPEG's head: its marker's second byte and what it holds."""

    marker: int
    data: bytes


def read_segments(file: bytes) -> list[Segment]:
    """Return the segments before the first scan.

    Raises:
        ImageError: the file is no JPEG or ends in its head.
    """
    if file[:2] != b"\xff\xd8":
        raise ImageError("not a JPEG")
    segments: list[Segment] = []
    at = 2
    while at + 4 <= len(file):
        if file[at] != 0xFF:
            raise ImageError("damaged (no marker where a JPEG must have one)")
        marker = file[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in {SOS, EOI}:
            return segments
        else:
            (length,) = struct.unpack_from(">H", file, at + 2)
            segments.append(Segment(marker, file[at + 4 : at + 2 + length]))
            at += 2 + length
    raise ImageError("damaged (the file ends in its head)")


def icc_of(segments: Iterable[Segment]) -> bytes | None:
    """Return the ICC profile, put together from its segments, or None if there is none whole."""
    parts = {
        s.data[12]: s.data[14:]
        for s in segments
        if s.marker == ICC and s.data.startswith(ICC_HEAD) and len(s.data) > 14
    }
    if not parts or sorted(parts) != list(range(1, len(parts) + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def icc_segments(icc: bytes) -> list[Segment]:
    """Cut an ICC profile into segments."""
    room = _LARGEST - len(ICC_HEAD) - 2
    parts = [icc[start : start + room] for start in range(0, len(icc), room)]
    return [
        Segment(ICC, ICC_HEAD + bytes([number, len(parts)]) + part)
        for number, part in enumerate(parts, start=1)
    ]


def jfif_segment(dpi: tuple[float, float]) -> Segment:
    """Make the segment that tells the resolution in dots per inch."""
    x, y = (min(max(round(value), 1), 65_535) for value in dpi)
    return Segment(JFIF, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 1, x, y, 0, 0))


def dpi_of(segments: Iterable[Segment]) -> tuple[float, float] | None:
    """Return the resolution of the JFIF segment in dots per inch, or None if it tells none."""
    for segment in segments:
        if segment.marker == JFIF and segment.data.startswith(b"JFIF\0") and len(segment.data) > 11:
            unit, x, y = struct.unpack_from(">BHH", segment.data, 7)
            scale = {1: 1.0, 2: 2.54}.get(unit)
            return (x * scale, y * scale) if scale else None
    return None


@dataclass(frozen=True)
class Own:
    """What goes from a JPEG into its colored version as it is."""

    quality: int
    """libjpeg's."""
    segments: tuple[Segment, ...]
    """JFIF's, makers' own and comments."""
    xmp: bytes | None
    """The whole packet, in the pieces ``xmp_segments``."""
    xmp_segments: tuple[Segment, ...]
    picture: mpo.Picture | None = None
    """As a page of a file with several."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a JPEG; further pictures are pages, but for previews, gain maps and depth maps.

    Raises:
        ImageError: the head is damaged, or there are more than ``max_pixels`` pixels on a page.
    """
    pictures, missing = mpo.pictures(file)
    heads = [header_of(picture.file) for picture in pictures]
    height, width, _ = max(heads, key=lambda head: head[0] * head[1])
    check_size((width, height), max_pixels)

    def read_page(number: int) -> Page:
        return _read_page(pictures[number], heads[number][2], max_pixels)

    note = f"pages that the file names and does not hold: {missing}" if missing else ""
    return PhotoFile(BY_NAME["jpg"], (width, height), read_page, len(pictures), note=note)


def _read_page(picture: mpo.Picture, space: str, max_pixels: int) -> Page:
    file = picture.file
    metadata, own = _metadata_of(read_segments(file))
    own = replace(own, picture=picture)
    turned = exif.orientation_of(metadata.exif)
    if space in {"YCbCr", "Gray"}:
        gray, damage = decode_luma(file)
        profile = read_profile(metadata.icc) if metadata.icc else None
        photo = GrayPhoto(gray, None, valid(turned), profile)
        icc = icc_for_colors(metadata.icc)
    else:
        # Colors of other kinds hold no luma: taken as the cleaning takes them, in sRGB and upright.
        damage = ""
        try:
            strict_jpeg.decode(file, "CMYK" if space in {"CMYK", "YCCK"} else "RGB")
        except ImageError as error:
            damage = str(error)
        upright = GrayPhoto(color.luma(open_photo(file, max_pixels).pixels))
        photo = as_stored(upright, turned)
        icc = srgb_icc() if metadata.icc else None
    return Page(photo, replace(metadata, icc=icc), own, damage)


def _metadata_of(segments: Sequence[Segment]) -> tuple[Metadata, Own]:
    """Sort a head into what every format has a place for and what only JPEG has.

    The profile is the file's own here. Left out is what describes the old samples: tables, frame,
    Adobe's color transform, thumbnails, and what belongs to pictures behind the first.
    """
    exif_data: bytes | None = None
    block = bytearray()
    own: list[Segment] = []
    xmp_segments: list[Segment] = []
    for segment in segments:
        marker, data = segment.marker, segment.data
        if marker == EXIF_OR_XMP and data.startswith(exif.HEAD) and exif_data is None:
            exif_data = exif.without_thumbnail(data[len(exif.HEAD) :])
        elif marker == EXIF_OR_XMP and data.startswith((XMP_HEAD, XMP_REST_HEAD)):
            xmp_segments.append(segment)
        elif marker == PHOTOSHOP and data.startswith(photoshop.HEAD):
            block += data[len(photoshop.HEAD) :]
        elif (marker == ICC and data.startswith((ICC_HEAD, *_OF_FURTHER_PICTURES))) or (
            marker == JFIF and data.startswith(b"JFXX\0")
        ):
            continue
        elif marker == JFIF and data.startswith(b"JFIF\0") and len(data) >= 14:
            own.append(Segment(JFIF, data[:12] + bytes(2)))
        elif (JFIF <= marker <= 0xEF and marker != ADOBE) or marker == COMMENT:
            own.append(segment)
    packet = _xmp_of(xmp_segments)
    cleaned = xmp.without_old_pictures(packet) if packet else None
    iptc, others = photoshop.split(bytes(block))
    metadata = Metadata(
        exif_data,
        cleaned,
        iptc,
        others,
        icc_of(segments),
        resolution(dpi_of(segments)),
        next((segment.data for segment in own if segment.marker == COMMENT), None),
    )
    untouched = packet if cleaned is packet else None
    return metadata, Own(quality_of(segments), tuple(own), untouched, tuple(xmp_segments))


def _xmp_of(segments: Iterable[Segment]) -> bytes | None:
    """Return the XMP packet, put together from its segments, or None."""
    packet: bytes | None = None
    rest: dict[int, bytes] = {}
    for segment in segments:
        if segment.data.startswith(XMP_HEAD) and packet is None:
            packet = segment.data[len(XMP_HEAD) :]
        elif segment.data.startswith(XMP_REST_HEAD) and len(segment.data) > _REST_START:
            (place,) = struct.unpack_from(">I", segment.data, _REST_START - 4)
            rest[place] = segment.data[_REST_START:]
    if packet is None or not rest:
        return packet
    return xmp.joined(packet, b"".join(rest[place] for place in sorted(rest)))


def head_for(metadata: Metadata, own: Own | None) -> list[Segment]:
    """Make the head of a colored JPEG.

    Of EXIF the longest values are left out until the rest fits into a segment.
    """
    segments = [] if own is None else list(own.segments)
    if own is None and metadata.dpi is not None:
        segments.append(jfif_segment(metadata.dpi))
    if own is None and metadata.comment:
        segments.append(Segment(COMMENT, metadata.comment[:_LARGEST]))
    described = []
    if metadata.exif:
        short = exif.shortened(metadata.exif, _LARGEST - len(exif.HEAD))
        described.append(Segment(EXIF_OR_XMP, exif.HEAD + short))
    if own is not None and metadata.xmp is not None and metadata.xmp == own.xmp:
        described += own.xmp_segments
    elif metadata.xmp:
        described += xmp_segments(metadata.xmp)
    block = photoshop.joined(metadata.iptc, metadata.photoshop)
    room = _LARGEST - len(photoshop.HEAD)
    described += [
        Segment(PHOTOSHOP, photoshop.HEAD + block[start : start + room])
        for start in range(0, len(block), room)
    ]
    described += icc_segments(metadata.icc) if metadata.icc else []
    head = [segment for segment in segments if segment.marker == JFIF]
    return head + described + [segment for segment in segments if segment.marker != JFIF]


def xmp_segments(packet: bytes) -> list[Segment]:
    """Cut an XMP packet into segments."""
    most = _LARGEST - len(XMP_HEAD)
    main, digest, rest = xmp.split(packet, most)
    room = _LARGEST - _REST_START
    segments = [Segment(EXIF_OR_XMP, XMP_HEAD + main)] if len(main) <= most else []
    return segments + [
        Segment(
            EXIF_OR_XMP,
            XMP_REST_HEAD
            + digest
            + struct.pack(">II", len(rest), start)
            + rest[start : start + room],
        )
        for start in range(0, len(rest), room)
    ]


def write(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a JPEG, with further pictures if there were some."""
    files: list[bytes] = []
    before: list[mpo.Picture] = []
    for page, tint in pages:
        own = page.own if isinstance(page.own, Own) else None
        gray = np.asarray(page.photo.gray, np.uint8)
        quality = DEFAULT_QUALITY if own is None else own.quality
        files.append(encode(gray, tint, quality, head_for(page.metadata, own)))
        if own is not None and own.picture is not None:
            before.append(own.picture)
    return files[0] if len(files) == 1 else mpo.joined(files, before)


def quality_of(segments: Iterable[Segment]) -> int:
    """Return libjpeg's quality, 1 to 100, of which the luma table is as fine as this JPEG's.

    A table that libjpeg made is found again exactly, so that luma is quantized as it was before.
    """
    table = _first_table(segments)
    if table is None:
        return DEFAULT_QUALITY
    return next((q for q in range(1, 101) if _luma_sum(q) <= sum(table)), 100)


def decode_luma(file: bytes) -> tuple[Gray, str]:
    """Decode the luma plane (H, W) of a JPEG in YCbCr or gray.

    Returns:
        The plane, and what is damaged in it; nothing if it is whole.

    Raises:
        ImageError: the file ends early, or libjpeg cannot go on.
    """
    found = strict_jpeg.zeroed(file)
    damage = f"damaged ({found})" if found else ""
    try:
        return np.asarray(simplejpeg.decode_jpeg(file, "GRAY"))[..., 0], damage
    except ValueError as error:
        message = str(error)
    if strict_jpeg.is_damage(message, file):
        if message.startswith("Premature end"):
            raise ImageError(f"damaged ({message})")
        damage = f"damaged ({message})"
    return np.asarray(_without_warnings(simplejpeg.decode_jpeg, file, "GRAY"))[..., 0], damage


def header_of(file: bytes) -> tuple[int, int, str]:
    """Return height, width and color space: ``YCbCr``, ``Gray``, ``RGB``, ``CMYK`` or ``YCCK``.

    Raises:
        ImageError: the head is damaged or of a kind that libjpeg does not know.
    """
    try:
        height, width, space, _ = _without_warnings(simplejpeg.decode_jpeg_header, file)
    except ImageError as error:
        if "subsampling" not in str(error):
            raise
        # TurboJPEG has names for the usual sizes of chroma only; Pillow reads the others.
        width, height = open_image(file, ANY_PIXELS).size
        space = "RGB"
    return int(height), int(width), str(space)


def _without_warnings(read: Callable[..., Any], file: bytes, *arguments: str) -> Any:
    """Read a JPEG although libjpeg may warn."""
    try:
        try:
            return read(file, *arguments, strict=False)
        except ValueError:
            # A profile in the wrong order of pieces is no warning but an error. Nobody looks at it
            # here, so it goes by another name.
            return read(file.replace(ICC_HEAD, ICC_HEAD.lower()), *arguments, strict=False)
    except ValueError as error:
        raise ImageError(f"damaged ({error})") from error


def encode(gray: Gray, tint: Tint, quality: int, segments: Iterable[Segment]) -> bytes:
    """Encode ``gray`` (H, W) with the colors of ``tint`` and ``segments`` in the head."""
    cb, cr = chroma_planes(gray, tint)
    height, width = gray.shape
    if height % 2 or width % 2:
        # libjpeg-turbo reads luma in pairs, past the end of an odd row and of the last row.
        even = cv2.copyMakeBorder(gray, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        gray = _uint8(even)[:height, :width]
    file = simplejpeg.encode_jpeg_yuv_planes(gray, cb, cr, quality=quality, fastdct=False)
    # The file begins with SOI and the encoder's JFIF segment, which gives way to the photo's.
    (length,) = struct.unpack_from(">H", file, 4)
    own = Segment(JFIF, bytes(file[6 : 4 + length]))
    head = sorted(segments, key=lambda segment: segment.marker != JFIF)
    if not head or head[0].marker != JFIF:
        head.insert(0, own)
    return b"\xff\xd8" + _joined(head) + bytes(file[4 + length :])


def chroma_planes(gray: Gray, tint: Tint) -> tuple[Gray, Gray]:
    """Return Cb and Cr, each of half the height and width of ``gray`` (H, W), rounded up.

    A sample of chroma colors four pixels and, in decoders that interpolate, a part of the twelve
    around them. It is kept in the gamut over the darkest and the brightest of the sixteen, so that
    the decoder clips nothing and tones stay.
    """
    height, width = gray.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    upsampler = tint.at(shape)
    planes = np.empty((2, *shape), np.uint8)
    rows = band_rows(shape[1])
    for top in range(0, shape[0], rows):
        bottom = min(top + rows, shape[0])
        window = _rows_and_rims(gray, 2 * top, 2 * bottom)
        inner = window[1:-1, 1:-1]
        half = _uint8(cv2.resize(inner, (shape[1], bottom - top), interpolation=cv2.INTER_AREA))
        red, blue = upsampler.band(top, half)
        # The kernel's anchor: two rows of four pixels, and the one before and behind them.
        darkest = _uint8(cv2.erode(window, _FOUR, anchor=(1, 1)))[1:-1:2, 1:-1:2]
        brightest = _uint8(cv2.dilate(window, _FOUR, anchor=(1, 1)))[1:-1:2, 1:-1:2]
        color.fit_gamut(darkest, brightest, red, blue)
        # T.871, section 7: Cb = (B - Y) / 1.772 + 128, Cr = (R - Y) / 1.402 + 128.
        planes[0, top:bottom] = cv2.convertScaleAbs(blue, alpha=1 / 1.772, beta=128)
        planes[1, top:bottom] = cv2.convertScaleAbs(red, alpha=1 / 1.402, beta=128)
    return planes[0], planes[1]


_FOUR = np.ones((4, 4), np.uint8)


def _rows_and_rims(gray: Gray, top: int, bottom: int) -> Gray:
    """Cut out rows, even in number and width, with one pixel more on every side."""
    height, width = gray.shape
    first, last = max(top - 1, 0), min(bottom + 1, height)
    return np.asarray(
        cv2.copyMakeBorder(
            gray[first:last],
            first - (top - 1),
            bottom + 1 - last,
            1,
            1 + width % 2,
            cv2.BORDER_REPLICATE,
        )
    )


def _uint8(pixels: object) -> Gray:
    return np.asarray(pixels, np.uint8)


def _joined(segments: Iterable[Segment]) -> bytes:
    return b"".join(struct.pack(">BBH", 0xFF, s.marker, len(s.data) + 2) + s.data for s in segments)


def _first_table(segments: Iterable[Segment]) -> tuple[int, ...] | None:
    """The quantization table number 0, which luma uses."""
    for segment in segments:
        data = segment.data
        while segment.marker == DQT and data:
            precision, number = divmod(data[0], 16)
            length = 64 * (2 if precision else 1)
            if len(data) <= length:
                break
            if number == 0:
                return struct.unpack(f">64{'H' if precision else 'B'}", data[1 : 1 + length])
            data = data[1 + length :]
    return None


@functools.cache
def _luma_sum(quality: int) -> int:
    """Sum of libjpeg's luma table: jpeg_quality_scaling and jpeg_add_quant_table in jcparam.c."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(max((value * scale + 50) // 100, 1), 255) for value in _LUMA_TABLE)
