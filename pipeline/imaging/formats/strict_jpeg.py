"""Decode JPEG files and notice where they are damaged.

libjpeg decodes a damaged photo to the end, gray from the damage on, and only warns. Pillow does not
pass its warnings on; simplejpeg raises the first one as an error.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.imaging.errors import ImageError


def decode(
    data: bytes, space: Literal["RGB", "GRAY", "CMYK"], size: tuple[int, int] = (1, 1)
) -> NDArray[np.uint8] | None:
    """Decode a JPEG file as small as libjpeg can without going below ``size`` (width, height).

    Returns:
        Pixels (H, W) or (H, W, channels); None for a file with another fault than a damaged
        picture, some of which are harmless.

    Raises:
        ImageError: the picture is damaged.
    """
    width, height = size
    pixels: NDArray[np.uint8] | None = None
    damage = ""
    try:
        pixels = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width)
    except ValueError as error:
        damage = str(error) if is_damage(str(error), data) else ""
    if damage := damage or zeroed(data):
        raise ImageError(f"damaged ({damage})")
    return pixels[..., 0] if pixels is not None and space == "GRAY" else pixels


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that holds nothing but a picture in YCbCr.

    Returns:
        None for any other file, such as one with EXIF, an ICC profile or further pictures, which
        are in application segments (ITU-T T.81, annex B). JFIF's own says nothing that matters.
    """
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != _SOS:
        if b"\xe1" <= data[at + 1 : at + 2] <= b"\xef":
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (width, height) if space == "YCbCr" else None


def is_damage(message: str, data: bytes) -> bool:
    """Whether a message of libjpeg (jerror.h) means that the picture's data are damaged.

    Other messages are errors that libjpeg does not get over, or harmless.
    """
    if not message.startswith(("Corrupt JPEG data", "Premature end")) or "ICC" in message:
        return False
    found = re.search(r"(\d+) extraneous bytes before marker 0xd9", message)
    if not found:
        return True
    # Some cameras fill up the last block, which takes nothing from the picture. Damage leaves other
    # bytes over, and many of them.
    left, end = int(found[1]), data.rfind(b"\xff\xd9")
    return left > HARMLESS_BYTES and len(set(data[max(0, end - left + 1) : end])) > 1


HARMLESS_BYTES = 8
"""Bytes left over at the end of a picture that are no sign of damage, whatever they are."""


def zeroed(data: bytes) -> str:
    """Say whether the picture's data were overwritten with zeros; return nothing if they were not.

    A disk or a copy that failed leaves zeros, which libjpeg takes for a picture, without a warning,
    in one case of twenty. Zero bits are the first code of each Huffman table (T.81, annex C) over
    and over: a sound picture has many in a row only where that code ends a block, as on a blank
    wall.
    """
    end = data.rfind(b"\xff\xd9")
    looked_at = 0
    for run in _ZEROS.finditer(data, max(data.find(b"\xff\xda"), 0)):
        # Some cameras fill up the end.
        if run.end() >= end:
            break
        if run.start() < looked_at:
            continue
        if not _zeros_end_blocks(data, run.start()):
            return f"Corrupt JPEG data: {len(run[0])} zero bytes in a row"
        # What holds here holds up to the next marker.
        marker = _MARKER.search(data, run.end())
        looked_at = marker.start() if marker else len(data)
    return ""


_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ZEROS = re.compile(rb"\x00{32,}")
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
        if marker == _SOS[0]:
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
_SOS = b"\xda"
