"""PNG files written fast: the pixels lie in them uncompressed.

Compressing a photo losslessly saves a third of its bytes and takes ten times as long, at reading
as at writing, which the chain does for every photo several times. Any program reads these files.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB = 0, 2
"""Color types."""


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Encode gray (H, W) or RGB (H, W, 3) as a PNG file; the same pixels give the same bytes.

    Source: Portable Network Graphics (PNG) Specification, third edition: 11.2 for the chunks, 9 for
    the filter byte before each row (0, none).
    """
    height, width = pixels.shape[:2]
    rows = np.empty((height, 1 + pixels[0].size), np.uint8)
    rows[:, 0] = 0
    rows[:, 1:] = pixels.reshape(height, -1)
    head = _head(width, height, _RGB if pixels.ndim == 3 else _GRAY)
    return b"".join((head, *_chunk(b"IDAT", *_stored(rows)), _END))


def decode(data: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """Return the pixels (H, W, 3) of an RGB file that :func:`encode` wrote.

    Returns:
        None for any other file, a damaged one, and one of more than ``max_pixels``.
    """
    if not is_rgb(data):
        return None
    width, height = struct.unpack_from(">II", data, 16)
    start, end = _HEAD_BYTES + 8, len(data) - len(_END) - 4
    if (
        not 0 < width * height <= max_pixels
        or not data.startswith(_head(width, height, _RGB))
        or not data.endswith(_END)
        or end < start
        or data[_HEAD_BYTES:start] != struct.pack(">I4s", end - start, b"IDAT")
    ):
        return None
    # The zlib stream has a checksum of its own; the chunk's would only say the same again.
    rows = _unstored(memoryview(data)[start:end], height, 1 + 3 * width)
    return None if rows is None or rows[:, 0].any() else rows[:, 1:].reshape(height, width, 3)


def is_rgb(data: bytes) -> bool:
    """Whether ``data`` is a PNG file of 8-bit RGB samples (11.2.1, IHDR)."""
    return data.startswith(_SIGNATURE) and data[24:26] == bytes((8, _RGB))


def is_ours(path: Path) -> bool:
    """Whether a file begins as :func:`encode` begins one and is exactly as long."""
    return _size_of_ours(path) is not None


def is_square_of_ours(path: Path) -> bool:
    """Whether a file is as :func:`is_ours` says and as wide as it is high."""
    size = _size_of_ours(path)
    return size is not None and size[0] == size[1]


def _size_of_ours(path: Path) -> tuple[int, int] | None:
    """Return the width and height of a file that is as :func:`is_ours` says."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_HEAD_BYTES + 8 + len(_ZLIB_HEAD))
            length = os.fstat(stream.fileno()).st_size
    except OSError:
        return None
    if len(start) < _HEAD_BYTES or not start.startswith(_SIGNATURE):
        return None
    width, height, _, kind = struct.unpack_from(">IIBB", start, 16)
    size = height * (1 + (3 if kind == _RGB else 1) * width)
    stream_bytes = len(_ZLIB_HEAD) + 5 * -(-size // _BLOCK) + size + 4
    chunk = struct.pack(">I4s", stream_bytes & 0xFFFFFFFF, b"IDAT")
    ours = (
        kind in {_GRAY, _RGB}
        and start == _head(width, height, kind) + chunk + _ZLIB_HEAD
        and length == _HEAD_BYTES + 8 + stream_bytes + 4 + len(_END)
    )
    return (width, height) if ours else None


@functools.lru_cache(maxsize=64)
def _head(width: int, height: int, kind: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"".join((_SIGNATURE, *_chunk(b"IHDR", header)))


def _stored(rows: NDArray[np.uint8]) -> list[bytes | memoryview]:
    """Cut a zlib stream of uncompressed blocks, which no version of zlib would cut otherwise.

    Source: RFC 1950, 2.2 (head and checksum) and RFC 1951, 3.2.4 (blocks).
    """
    content = rows.reshape(-1).data
    parts: list[bytes | memoryview] = [_ZLIB_HEAD]
    for start, end, head in _blocks(len(content)):
        parts += [head, content[start:end]]
    return [*parts, _adler32(rows)]


def _unstored(stream: memoryview, height: int, width: int) -> NDArray[np.uint8] | None:
    """Return rows (height, width) from a stream of :func:`_stored`; None if it is not of it."""
    size = height * width
    blocks = -(-size // _BLOCK)
    if len(stream) != len(_ZLIB_HEAD) + 5 * blocks + size + 4 or stream[:2] != _ZLIB_HEAD:
        return None
    content = np.empty(size, np.uint8)
    at = len(_ZLIB_HEAD)
    for start, end, head in _blocks(size):
        if stream[at : at + len(head)] != head:
            return None
        at += len(head)
        content[start:end] = stream[at : at + end - start]
        at += end - start
    rows = content.reshape(height, width)
    return rows if stream[at:] == _adler32(rows) else None


def _blocks(size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each block starts and ends, and its head."""
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        yield start, end, struct.pack("<BHH", end == size, end - start, (end - start) ^ 0xFFFF)


def _adler32(rows: NDArray[np.uint8]) -> bytes:
    """Return the Adler-32 checksum (RFC 1950, 8.2) of the bytes of ``rows`` (H, W)."""
    return struct.pack(">I", zlib_ng.adler32(rows.reshape(-1).data))


_ZLIB_HEAD = b"\x78\x01"
_BLOCK = 0xFFFF
"""Bytes that a block holds at most."""


def _chunk(name: bytes, *content: bytes | memoryview) -> list[bytes | memoryview]:
    check = zlib_ng.crc32(name)
    for part in content:
        check = zlib_ng.crc32(part, check)
    length = struct.pack(">I", sum(map(len, content)))
    return [length, name, *content, struct.pack(">I", check)]


_END = b"".join(_chunk(b"IEND", b""))
_HEAD_BYTES = len(_head(1, 1, _RGB))
