"""JPEG files that hold a picture and nothing else, decoded straight into an array.

Most photos that the web and data sets hand out are such: a JFIF head, tables and one picture in
YCbCr. For a small one, what Pillow does around libjpeg takes as long as libjpeg itself. What has
more in it (EXIF, profiles, other color spaces, further pictures) or is damaged is left to Pillow.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

# ITU-T T.81, table B.1: baseline, extended and progressive frames; start of scan.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_SOS = 0xDA
# Huffman and quantization tables, restart interval, comment.
_PLAIN = frozenset({0xC4, 0xDB, 0xDD, 0xFE})
_JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"

_SCALES = (8, 4, 2)
"""By how much libjpeg is asked to shrink, as Pillow does; it knows steps in between."""


@dataclass(frozen=True)
class PlainJpeg:
    """The head of a JFIF file with three components of 8 bits."""

    data: bytes
    size: tuple[int, int]
    """Width and height."""

    def decode(self, at_least: int | None = None) -> NDArray[np.uint8] | None:
        """Return RGB pixels (H, W, 3), the very ones of Pillow; None if libjpeg finds any fault.

        Args:
            at_least: decode at an eighth, a quarter or half of the size, as long as both sides keep
                this many pixels.
        """
        width, height = self.reduced(at_least)
        try:
            # The smallest scale that keeps these sides is the one that they were computed by.
            pixels = simplejpeg.decode_jpeg(self.data, min_height=height, min_width=width)
        except ValueError:
            return None
        return np.asarray(pixels, np.uint8)

    def reduced(self, at_least: int | None) -> tuple[int, int]:
        """Return the width and height that :meth:`decode` gives."""
        width, height = self.size
        fits = 1 if at_least is None else min(width, height) // max(at_least, 1)
        scale = next((scale for scale in _SCALES if scale <= fits), 1)
        return -(-width // scale), -(-height // scale)


def decode_checked(
    data: bytes, space: Literal["RGB", "GRAY", "CMYK"], size: tuple[int, int] = (1, 1)
) -> NDArray[np.uint8] | str | None:
    """Decode any JPEG file as far as libjpeg shrinks it without going below ``size``.

    Pillow keeps libjpeg's warnings to itself: what is left of a damaged photo goes over into gray.

    Returns:
        Pixels (H, W) or (H, W, channels); or what is damaged; or None for a file with another fault
        than damaged data, of which there are harmless ones.
    """
    width, height = size
    try:
        pixels = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width)
    except ValueError as error:
        return str(error) if is_damage(str(error), data) else zeroed(data) or None
    if zeros := zeroed(data):
        return zeros
    return np.asarray(pixels[..., 0] if space == "GRAY" else pixels, np.uint8)


def is_damage(message: str, data: bytes) -> bool:
    """Whether a message of libjpeg (jerror.h) is about the picture's data.

    Of the others some are errors, which it does not get over, and some are harmless.
    """
    if not message.startswith(("Corrupt JPEG data", "Premature end")) or "ICC" in message:
        return False
    found = re.search(r"(\d+) extraneous bytes before marker 0xd9", message)
    if not found:
        return True
    # Some cameras fill up the last block, which takes nothing from the picture. Damage on the way
    # leaves other bytes over, and many of them.
    left, end = int(found[1]), data.rfind(b"\xff\xd9")
    return left > FEW_BYTES and len(set(data[max(0, end - left + 1) : end])) > 1


def zeroed(data: bytes) -> str:
    """Say whether the picture's data were overwritten with zeros; return nothing if they were not.

    A disk or a copy that failed leaves zeros, and one of twenty times they happen to be a picture's
    code. In a scan's data a zero bit after the other is the first code of each Huffman table (T.81,
    annex C) again and again: a picture's only where that code ends a block, as of a blank wall.
    """
    end = data.rfind(b"\xff\xd9")
    at = data.find(_ZEROS, max(data.find(b"\xff\xda"), 0))
    while 0 <= at < end:
        length = len(data) - at - len(data[at:].lstrip(b"\0"))
        # Some cameras fill up the end.
        if at + length < end and not _zeros_end_blocks(data, at):
            return f"Corrupt JPEG data: {length} zero bytes in a row"
        at = data.find(_ZEROS, at + length)
    return ""


_ZEROS = bytes(32)
"""More in a row than a picture's code has, but for blank ones."""


def _zeros_end_blocks(data: bytes, place: int) -> bool:
    """Whether the first code of each table for AC says in the scan at ``place`` that blocks end."""
    first: dict[int, int] = {}
    is_other = is_in_scan = False
    at = 2
    while at + 4 <= place:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or marker in {0, 0xFF, *range(0xD0, 0xD8)}:
            # Within a scan's data, to the next marker that is one.
            at = data.find(b"\xff", at + 1)
            if at < 0:
                break
            continue
        table, stop = at + 4, at + 2 + length
        while marker == _DHT and table + 17 <= stop:
            count = sum(data[table + 1 : table + 17])
            if count and data[table] >> 4:
                first[data[table]] = data[table + 17]
            table += 17 + count
        if marker == _SOS:
            # A scan's head ends with the last coefficient that it holds, 0 for DC alone, and with
            # the bits: all, or further ones.
            is_other = data[stop - 2] == 0 or bool(data[stop - 1] >> 4)
        is_in_scan = stop <= place
        at = stop
    # In progressive scans blocks end in runs, of a length that follows.
    return (
        is_other
        or not is_in_scan
        or any(symbol & 15 == 0 and symbol != 0xF0 for symbol in first.values())
    )


_DHT = 0xC4

FEW_BYTES = 8
"""Bytes left over at the end of a picture that are no sign of damage, whatever they are."""


def read_head(data: bytes) -> PlainJpeg | None:
    """Return the head of a file that is as the module's text says, else None.

    Source: ITU-T T.81, annex B, and T.871 (JFIF), which makes three components YCbCr.
    """
    if not data.startswith(_JFIF):
        return None
    at, size = 20, None
    while at + 4 <= len(data):
        start, marker, length = struct.unpack_from(">BBH", data, at)
        if start != 0xFF:
            return None
        if marker == _SOS:
            return None if size is None else PlainJpeg(data, size)
        if marker in _FRAMES and size is None and len(data) >= at + 10:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if bits != 8 or components != 3 or not width or not height:
                return None
            size = (width, height)
        elif marker not in _PLAIN:
            return None
        at += 2 + length
    return None
