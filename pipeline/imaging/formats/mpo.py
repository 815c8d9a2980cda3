"""Several JPEGs in one file, as stereo and panorama cameras write them: the multi-picture format.

The first JPEG's head has an index of all. Pictures of the kind "multi-frame" are pages; previews,
gain maps and depth maps belong to the first picture and are not. Source: CIPA DC-007-2009,
section 5.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.imaging.formats.directories import (
    LONG,
    UNDEFINED,
    Directory,
    Layout,
    layout_of,
    read_directories,
    write_directory,
)

_HEAD = b"MPF\0"
_IN_FIRST = 1 << 18
"""Bytes of a file in which its index is looked for."""
_COUNT, _ENTRIES = 0xB001, 0xB002
_ENTRY = 16
"""Bytes of a picture's entry: kind, length, place from the index on, and two numbers of others."""
_KIND, _MULTI_FRAME = 0xFFFFFF, 2


@dataclass(frozen=True)
class Picture:
    """A page of a file."""

    file: bytes
    """A JPEG of its own."""
    index: bytes | None = None
    """Its segment of the format, behind the signature."""
    number: int = 0
    """In the index of the first picture, from 0."""


def pictures(file: bytes) -> tuple[list[Picture], int]:
    """Return the pages of a JPEG, a single one unless it has an index with more of them.

    Returns:
        The pages, and how many more the index has that are not in the file.
    """
    start = file.find(_HEAD, 0, _IN_FIRST) + len(_HEAD)
    index = file[start:] if start >= len(_HEAD) else b""
    layout, directory = layout_of(index), next(iter(read_directories(index)), Directory())
    entries = directory.get(_ENTRIES)
    if layout is None or entries is None:
        return [Picture(file)], 0
    found, missing = [], 0
    for number in range(len(entries.data) // _ENTRY):
        kind, length, place = struct.unpack_from(f"{layout.order}3I", entries.data, number * _ENTRY)
        if number and (kind & _KIND) >> 16 != _MULTI_FRAME:
            continue
        place = start + place if number else 0
        part = file[place : place + length]
        if len(part) == length and part.startswith(b"\xff\xd8\xff"):
            found.append(Picture(part, _index_in(part), number))
        else:
            missing += 1
    if len(found) < 2 or found[0].number or found[0].index is None:
        return [Picture(file)], missing
    return found, missing


def _index_in(file: bytes) -> bytes | None:
    """Return the segment of the format in a JPEG's head."""
    at = 2
    while file[at : at + 1] == b"\xff" and file[at + 1 : at + 2] not in {b"\xda", b"\xd9", b""}:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] == _APP2 and file[at + 4 : at + 8] == _HEAD:
            return file[at + 8 : end]
        at = end
    return None


_APP2 = 0xE2


def joined(files: Sequence[bytes], before: Sequence[Picture]) -> bytes:
    """Put JPEGs into one file, whose index says of each what it said before.

    Args:
        files: the new pictures.
        before: the ones whose places they take.
    """
    parts = [
        _with_segment(file, _shortened(picture, before) if not number else picture.index)
        for number, (file, picture) in enumerate(zip(files, before, strict=True))
    ]
    first = parts[0]
    start = first.find(_HEAD) + len(_HEAD)
    layout = layout_of(first[start:]) or Layout()
    (directory, *_) = read_directories(first[start:])
    entries = directory.get(_ENTRIES)
    old = entries.data if entries else b""
    new, place = b"", 0
    for number, part in enumerate(parts):
        (kind,) = struct.unpack_from(f"{layout.order}I", old, number * _ENTRY)
        where = place - start if number else 0
        new += struct.pack(f"{layout.order}3I", kind, len(part), where)
        new += old[number * _ENTRY + 12 : (number + 1) * _ENTRY]
        place += len(part)
    # Of the same length, and nowhere else.
    return first[:start] + first[start:].replace(old, new, 1) + b"".join(parts[1:])


def _shortened(first: Picture, kept: Sequence[Picture]) -> bytes:
    """Return the index of the first picture with the entries of the pages alone."""
    index = first.index or b""
    layout = layout_of(index) or Layout()
    directory, *others = read_directories(index)
    entries = directory.get(_ENTRIES)
    data = entries.data if entries else b""
    if len(kept) * _ENTRY < len(data):
        # Each entry's last two numbers name others that may be gone.
        data = b"".join(data[p.number * _ENTRY :][:12] + bytes(4) for p in kept)
    directory = directory.plus(
        layout.entry(_COUNT, LONG, (len(kept),)), layout.entry(_ENTRIES, UNDEFINED, data)
    )
    written = bytearray(layout.head)
    link = len(written)
    written += bytes(layout.word)
    for each in (directory, *others):
        place = len(written)
        table, next_link = write_directory(each, layout, place)
        written[link : link + layout.word] = struct.pack(layout.offset, place)
        written += table
        link = place + next_link
    return bytes(written)


def _with_segment(file: bytes, index: bytes | None) -> bytes:
    """Put the format's segment behind those of JFIF, EXIF and XMP in a JPEG's head."""
    if index is None:
        return file
    at = 2
    while file[at : at + 2] in {b"\xff\xe0", b"\xff\xe1"}:
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    content = _HEAD + index
    return file[:at] + struct.pack(">BBH", 0xFF, _APP2, len(content) + 2) + content + file[at:]
