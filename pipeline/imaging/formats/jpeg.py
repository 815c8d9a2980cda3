"""JPEG without ever making RGB: its luma plane in, the same luma plane and new chroma planes out.

A JPEG holds luma and chroma apart, chroma mostly at half the size. So only luma is decoded, chroma
is made at half the size from the network's colors, and luma goes back through an encoder of the
same quality. Sources: ITU-T T.81 (JPEG), T.871 (JFIF), EXIF 2.32 and ICC.1:2022 annex B.4 for the
segments in the file's head.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg

from pipeline.imaging import color
from pipeline.imaging.decode import Gray, ImageError
from pipeline.imaging.formats import plain_jpeg
from pipeline.imaging.formats import tiff as tiff_files
from pipeline.imaging.formats.tiff import EXIF_HEAD
from pipeline.imaging.gray_photo import Tint
from pipeline.imaging.upsampling import band_rows

COMMENT, DQT, SOS, EOI = 0xFE, 0xDB, 0xDA, 0xD9
JFIF, EXIF_OR_XMP, ICC, ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
ICC_HEAD = b"ICC_PROFILE\0"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
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


def exif_of(segments: Iterable[Segment]) -> bytes | None:
    """Return the EXIF data, with the head that Pillow wants, or None."""
    return next(
        (s.data for s in segments if s.marker == EXIF_OR_XMP and s.data.startswith(EXIF_HEAD)), None
    )


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
    room = _LARGEST - 14
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


def segments_for(
    exif: bytes | None, xmp: bytes | None, icc: bytes | None, dpi: tuple[float, float] | None
) -> list[Segment]:
    """Make the head of a photo that was no JPEG.

    Of EXIF the longest values are left out until the rest fits into a segment, and XMP that is too
    long altogether.
    """
    segments = [] if dpi is None else [jfif_segment(dpi)]
    if exif:
        exif = tiff_files.shortened(exif, _LARGEST - len(EXIF_HEAD))
    for head, data in ((EXIF_HEAD, exif), (XMP_HEAD, xmp)):
        if data and len(head) + len(data) <= _LARGEST:
            segments.append(Segment(EXIF_OR_XMP, head + data))
    return segments + (icc_segments(icc) if icc else [])


def without_thumbnail(segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments with EXIF that leads to no thumbnail: it would stay gray."""
    return [
        Segment(s.marker, EXIF_HEAD + tiff_files.without_thumbnail(s.data[len(EXIF_HEAD) :]))
        if s.marker == EXIF_OR_XMP and s.data.startswith(EXIF_HEAD)
        else s
        for s in segments
    ]


def kept_segments(segments: Iterable[Segment], icc: bytes | None) -> list[Segment]:
    """Choose what of a JPEG's head goes into its colored version, with ``icc`` for its profile.

    Kept are resolution, EXIF, XMP, Photoshop's and every maker's segments and comments. Left out is
    what describes the old samples: tables, frame, Adobe's color transform, and the multi-picture
    index, whose pictures lie behind the first at offsets that no longer hold.
    """
    kept = [
        segment
        for segment in segments
        if (JFIF <= segment.marker <= 0xEF or segment.marker == COMMENT)
        and segment.marker not in {ICC, ADOBE}
    ]
    return [*kept, *icc_segments(icc)] if icc else kept


def quality_of(segments: Iterable[Segment]) -> int:
    """Return libjpeg's quality, 1 to 100, of which the luma table is as fine as this JPEG's.

    A table that libjpeg made is found again exactly, so that luma is quantized as it was before.
    """
    table = _first_table(segments)
    if table is None:
        return DEFAULT_QUALITY
    return next((q for q in range(1, 101) if _luma_sum(q) <= sum(table)), 100)


def decode_luma(file: bytes) -> Gray:
    """Decode the luma plane (H, W) of a JPEG in YCbCr or gray.

    Raises:
        ImageError: the data are damaged or end early.
    """
    return np.asarray(_without_warnings(simplejpeg.decode_jpeg, file, "GRAY"))[..., 0]


def header_of(file: bytes) -> tuple[int, int, str]:
    """Return height, width and color space: ``YCbCr``, ``Gray``, ``RGB``, ``CMYK`` or ``YCCK``.

    Raises:
        ImageError: the head is damaged or of a kind that libjpeg does not know.
    """
    height, width, space, _ = _without_warnings(simplejpeg.decode_jpeg_header, file)
    return int(height), int(width), str(space)


def _without_warnings(read: Callable[..., Any], file: bytes, *arguments: str) -> Any:
    """Read a JPEG although libjpeg may warn of something that takes nothing from the picture."""
    try:
        try:
            return read(file, *arguments)
        except ValueError as error:
            if plain_jpeg.is_damage(str(error), file):
                raise
            # A profile in the wrong order of pieces is no warning but an error. Nobody looks at it
            # here, so it goes by another name.
            unprofiled = file.replace(ICC_HEAD, ICC_HEAD.lower())
            return read(unprofiled, *arguments, strict=False)
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


def _luma_sum(quality: int) -> int:
    """Sum of libjpeg's luma table: jpeg_quality_scaling and jpeg_add_quant_table in jcparam.c."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(max((value * scale + 50) // 100, 1), 255) for value in _LUMA_TABLE)
