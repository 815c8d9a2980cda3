"""PNG of 8 and 16 bits with everything that stood beside the pixels; APNG, its animations.

Pillow cannot write colors of 16 bits and OpenCV cannot write what is beside the pixels: OpenCV
compresses, and the chunks of the source go in between. Source: PNG (W3C, third edition).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import cv2

from pipeline.imaging.color import Samples
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import exif, frames, photoshop, pillow_file, xmp
from pipeline.imaging.formats.page import Colored, Metadata, PhotoFile
from pipeline.imaging.gray_photo import render

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD_END = len(SIGNATURE) + 25
"""The header's chunk always comes first and has 13 bytes."""

_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_KEPT = _TEXTS | {b"pHYs", b"tIME"}
_COLOR_SPACE = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})
_LEVEL = 4
"""zlib's level: half the time of its default 6 at 2% more bytes."""

INCHES_PER_METRE = 39.3701
_LARGEST = (1 << 31) - 1
"""The largest number that a chunk holds."""
_XMP_KEY = b"XML:com.adobe.xmp"
# As ImageMagick names what PNG had no place for; for EXIF it has one since 2017.
_RAW_EXIF, _RAW_IPTC = b"Raw profile type exif", b"Raw profile type iptc"
_LONGEST_TEXT = 1 << 26
"""Bytes: what is packed may be made to exhaust memory."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a PNG or an APNG.

    Raises:
        ImageError: it is damaged or too large.
    """
    bits = file[24] if len(file) > 24 else 8
    return pillow_file.open_file(file, max_pixels, bits=bits, describe=_describe)


def _describe(
    file: bytes, metadata: Metadata, *, color_space_stays: bool
) -> tuple[Metadata, bytes]:
    """Return the metadata, and the chunks beside the pixels that hold for the colored photo too.

    Resolution, texts and time; what says how samples are to be seen while it holds. Palettes,
    backgrounds and transparency tables belong to the old samples. Texts that hold EXIF or IPTC's
    records are written anew.

    Raises:
        ImageError: the file ends within a chunk.
    """
    own = b""
    exif_data, packet = metadata.exif, metadata.xmp
    texts: dict[bytes, bytes] = {}
    profiles: dict[bytes, bytes] = {}
    for name, data in _chunks(file):
        keyword, text = _text_of(name, data) if name in _TEXTS else (b"", b"")
        profile = _profile_of(text) if keyword in {_RAW_EXIF, _RAW_IPTC} else None
        texts.setdefault(keyword, text)
        if name == b"eXIf":
            exif_data = exif.without_thumbnail(data)
        elif keyword == _XMP_KEY:
            packet = xmp.without_old_pictures(text)
        elif profile:
            profiles[keyword] = profile
        elif name in _KEPT or (color_space_stays and name in _COLOR_SPACE):
            own += chunk(name, data)
    if exif_data is None and _RAW_EXIF in profiles:
        exif_data = exif.without_thumbnail(profiles[_RAW_EXIF].removeprefix(exif.HEAD))
    block = profiles.get(_RAW_IPTC, b"")
    # Some programs write the records alone.
    is_bare = block.startswith(b"\x1c")
    iptc, others = (block, None) if is_bare else photoshop.split(block)
    comment = texts.get(b"Comment") or texts.get(b"Description")
    return Metadata(exif_data, packet, iptc, others, metadata.icc, metadata.dpi, comment), own


def _text_of(name: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return keyword and text of a chunk, in UTF-8; no text if what is packed is damaged."""
    keyword, _, rest = data.partition(b"\0")
    if name == b"tEXt":
        return keyword, rest.decode("latin-1").encode()
    # zTXt says how it is packed; iTXt whether and how, its language and what it translates.
    text = rest[1:] if name == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    if name == b"zTXt" or rest[:1] == b"\1":
        try:
            text = zlib.decompressobj().decompress(text, _LONGEST_TEXT)
        except zlib.error:
            text = b""
    return keyword, text.decode("latin-1").encode() if name == b"zTXt" else text


def _profile_of(text: bytes) -> bytes | None:
    """Undo :func:`_raw_profile`; None if it is damaged."""
    try:
        _, _, *digits = text.split()
        return bytes.fromhex(b"".join(digits).decode())
    except ValueError:
        return None


def chunk(name: bytes, data: bytes) -> bytes:
    """Make a chunk: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def icc_chunk(icc: bytes) -> bytes:
    """Make the chunk of an ICC profile."""
    return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))


def chunks_for(metadata: Metadata, own: bytes | None) -> bytes:
    """Make the chunks beside the pixels; ``own`` are those of a photo that was a PNG before."""
    chunks = own or b""
    if metadata.icc and not any(name in chunks for name in (b"iCCP", b"sRGB", b"cICP")):
        chunks = icc_chunk(metadata.icc) + chunks
    if own is None and metadata.dpi is not None:
        # Larger ones are no resolution, and do not fit.
        x, y = (min(round(value * INCHES_PER_METRE), _LARGEST) for value in metadata.dpi)
        chunks += chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if own is None and metadata.comment:
        text = metadata.comment.decode("utf-8", "replace").encode()
        chunks += chunk(b"iTXt", b"Comment\0\0\0\0\0" + text.replace(b"\0", b""))
    if block := photoshop.joined(metadata.iptc, metadata.photoshop):
        # Not packed: of what is, Pillow refuses more than a megabyte.
        chunks += chunk(b"tEXt", _RAW_IPTC + b"\0" + _raw_profile(block))
    if metadata.exif:
        chunks += chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += chunk(b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + metadata.xmp)
    return chunks


def _raw_profile(block: bytes) -> bytes:
    """Write IPTC's records as ImageMagick does, which is how PNG has come to hold them."""
    digits = block.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\niptc\n{len(block):8}\n{lines}\n".encode()


def write(file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a PNG of the one page, or an APNG of an animation."""
    if file.is_animated:
        return frames.write(file, pages, "PNG", chunked=_with_chunks)
    (page, tint), *_ = pages
    own = page.own if isinstance(page.own, bytes) else None
    return encode(render(page.photo, tint, order=(2, 1, 0)), chunks_for(page.metadata, own))


def _with_chunks(data: bytes, metadata: Metadata, own: object) -> bytes:
    chunks = chunks_for(metadata, own if isinstance(own, bytes) else None)
    return data[:_HEAD_END] + chunks + data[_HEAD_END:]


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
        yield name, file[at + 8 : at + 8 + length]
        if name == b"IEND":
            return
        at += 12 + length
