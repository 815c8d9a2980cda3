"""EXIF data as bytes: what is cut out of them or added leaves every other byte where it was.

Makers' notes point to places that only their makers know: moved, they are lost. EXIF data stand
here from their TIFF header on.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from pipeline.imaging.formats.directories import (
    ASCII,
    ORIENTATION,
    RATIONAL,
    SHORT,
    Directory,
    Layout,
    layout_of,
    read_directories,
    to_exif,
    write_directory,
)

HEAD = b"Exif\0\0"
"""What stands before EXIF data in a JPEG, and before those that Pillow gives."""

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
PROCESSING_SOFTWARE = 11


def orientation_of(exif: bytes | None) -> int:
    """Return the number in EXIF's tag for how the picture is turned; 1 where there is none."""
    layout = layout_of(exif) if exif else None
    if exif is None or layout is None:
        return 1
    return next(iter(_first(exif).numbers(ORIENTATION, layout)), 1)


def upright(exif: bytes) -> bytes:
    """Set the tag for how the picture is turned, if it is there, to upright."""
    layout = layout_of(exif)
    if layout is None or orientation_of(exif) == 1:
        return exif
    (start,) = struct.unpack_from(layout.offset, exif, len(layout.head))
    (count,) = struct.unpack_from(f"{layout.order}H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from(f"{layout.order}HH", exif, at) == (ORIENTATION, SHORT):
            value = struct.pack(f"{layout.order}H", 1)
            return exif[: at + 8] + value + exif[at + 10 :]
    return exif


def without_thumbnail(exif: bytes) -> bytes:
    """Cut the link to the second directory of EXIF data, which holds the thumbnail.

    Damaged data come back as they are.
    """
    layout, first = layout_of(exif), _first(exif)
    # A writer may have left the link out: then what is there leads to no directory.
    if layout is None or not first.link or len(read_directories(exif)) < 2:
        return exif
    return exif[: first.link] + bytes(layout.word) + exif[first.link + layout.word :]


def with_text(exif: bytes | None, tag: int, text: str) -> bytes:
    """Add a text to the first directory, which for that moves behind all that is there."""
    layout = layout_of(exif) if exif else None
    if exif is None or layout is None:
        entry = Layout().entry(tag, ASCII, text.encode() + b"\0")
        return to_exif(Directory((entry,)), Layout())
    # Nested directories stay where they are: their entries go on pointing to them.
    kept = tuple(replace(entry, inner=None) for entry in _first(exif).entries)
    entry = layout.entry(tag, ASCII, text.encode() + b"\0")
    place = len(exif) + len(exif) % 2
    table, _ = write_directory(Directory(kept).plus(entry), layout, place)
    moved = layout.head + struct.pack(layout.offset, place)
    return moved + exif[len(moved) :].ljust(place - len(moved), b"\0") + table


def shortened(exif: bytes, most: int) -> bytes:
    """Leave the longest values out of EXIF data until they have no more than ``most`` bytes."""
    layout, directory = layout_of(exif), _first(exif)
    while layout is not None and len(exif) > most and directory.entries:
        longest = max(directory.entries, key=lambda entry: _length(entry.inner, entry.data))
        if longest.inner is not None and longest.inner.entries:
            inner = longest.inner
            gone = max(inner.entries, key=lambda entry: len(entry.data))
            directory = directory.plus(replace(longest, inner=inner.without([gone.tag])))
        else:
            directory = directory.without([longest.tag])
        exif = to_exif(directory, layout)
    return exif


def _length(inner: Directory | None, data: bytes) -> int:
    return len(data) if inner is None else sum(len(entry.data) for entry in inner.entries)


def resolution_entries(dpi: tuple[float, float], layout: Layout) -> Directory:
    """Return the tags of a resolution."""
    x, y = ((min(round(value * 1000), 2**32 - 1), 1000) for value in dpi)
    return Directory(
        (
            layout.entry(X_RESOLUTION, RATIONAL, x),
            layout.entry(Y_RESOLUTION, RATIONAL, y),
            layout.entry(RESOLUTION_UNIT, SHORT, (2,)),
        )
    )


def _first(exif: bytes) -> Directory:
    return next(iter(read_directories(exif)), Directory())
