"""PNG of 8 and 16 bits with everything that stood beside the pixels.

Pillow cannot write colors of 16 bits and OpenCV cannot write what is beside the pixels: OpenCV
compresses, and the chunks of the source go in between. Source: PNG (W3C, third edition).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2

from pipeline.imaging.color import Samples
from pipeline.imaging.decode import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD_END = len(SIGNATURE) + 25
"""The header's chunk always comes first and has 13 bytes."""

_KEPT = frozenset({b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_COLOR_SPACE = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})
_LEVEL = 4
"""zlib's level: half the time of its default 6 at 2% more bytes."""

INCHES_PER_METRE = 39.3701
_LARGEST = (1 << 31) - 1
"""The largest number that a chunk holds."""


def bits_of(file: bytes) -> int:
    """Return the bits of a sample, from the header."""
    return file[24] if len(file) > 24 else 8


def kept_chunks(file: bytes, keep_color_space: bool) -> bytes:
    """Return the chunks beside the pixels that hold for the colored photo too, as bytes.

    Resolution, EXIF, texts and time; with ``keep_color_space`` also what says how samples are to be
    seen. Palettes, backgrounds and transparency tables belong to the old samples.

    Raises:
        ImageError: the file ends within a chunk.
    """
    wanted = _KEPT | _COLOR_SPACE if keep_color_space else _KEPT
    return b"".join(chunk for name, chunk in _chunks(file) if name in wanted)


def chunk(name: bytes, data: bytes) -> bytes:
    """Make a chunk: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def icc_chunk(icc: bytes) -> bytes:
    """Make the chunk of an ICC profile."""
    return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))


def chunks_for(
    exif: bytes | None, xmp: bytes | None, icc: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    """Make the chunks of a photo that was no PNG; EXIF data begin with their TIFF header."""
    chunks = icc_chunk(icc) if icc else b""
    if dpi is not None:
        # Larger ones are no resolution, and do not fit.
        x, y = (min(round(value * INCHES_PER_METRE), _LARGEST) for value in dpi)
        chunks += chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if exif:
        chunks += chunk(b"eXIf", exif)
    if xmp:
        chunks += chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return chunks


def encode(pixels: Samples, chunks: bytes) -> bytes:
    """Encode ``pixels`` (H, W, 3 or 4), blue first, uint8 or uint16, with ``chunks`` in the head.

    Raises:
        ImageError: the encoder refuses, which it does for sides over 2^31.
    """
    done, file = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _LEVEL])
    if not done:
        raise ImageError("could not be written as PNG")
    data = file.tobytes()
    return data[:_HEAD_END] + chunks + data[_HEAD_END:]


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(file):
        (length,) = struct.unpack_from(">I", file, at)
        name = file[at + 4 : at + 8]
        if at + 12 + length > len(file):
            raise ImageError("damaged (the file ends within a chunk)")
        yield name, file[at : at + 12 + length]
        if name == b"IEND":
            return
        at += 12 + length
