"""Boxes, of which JPEG 2000's and JPEG XL's files consist: a length, a name and what is inside.

Sources: ISO/IEC 15444-1, annex I (JP2); ISO/IEC 18181-2, annex A (JPEG XL).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

JXL_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"

Box = tuple[bytes, bytes]
"""Name and content."""


def read(data: bytes) -> Iterator[Box]:
    """Yield the boxes of a file or of another box, as far as they are whole."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif length == 0:
            length = len(data) - at
        if length < head or at + length > len(data):
            return
        yield name, data[at + head : at + length]
        at += length


def write(boxes: Iterable[Box]) -> bytes:
    """Join boxes."""
    return b"".join(
        struct.pack(">I4s", len(content) + 8, name) + content
        if len(content) + 8 < 1 << 32
        else struct.pack(">I4sQ", 1, name, len(content) + 16) + content
        for name, content in boxes
    )


def jxl_codestream(data: bytes) -> bytes:
    """Return a JPEG XL's codestream, out of its boxes if it is in some."""
    if not data.startswith(JXL_SIGNATURE):
        return data
    # "jxlp" holds a part behind its number.
    return b"".join(
        content if name == b"jxlc" else content[4:]
        for name, content in read(data)
        if name in {b"jxlc", b"jxlp"}
    )


def jp2_codestream(data: bytes) -> bytes:
    """Return a JPEG 2000's codestream, out of its boxes if it is in some."""
    if not data.startswith(JP2_SIGNATURE):
        return data
    return next((content for name, content in read(data) if name == b"jp2c"), b"")
