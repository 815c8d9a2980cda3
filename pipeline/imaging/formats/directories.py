"""TIFF's directories of tags, of which EXIF data consist too, with every value's bytes as they are.

Libraries decode values and encode them again, and lose those they do not know: makers' own, text in
odd encodings, wrong types. Here nothing but offsets is understood. Sources: TIFF 6.0 (Adobe 1992),
section 2; BigTIFF (Aware Systems 2007); EXIF 2.32, section 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 2, 3, 4, 5, 7, 16
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""

EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
_NESTED = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})
"""Tags whose value is the offset of a directory that belongs to the photo, not to its samples."""
_MOST_ENTRIES = 4096
_MOST_DIRECTORIES = 10_000


@dataclass(frozen=True)
class Layout:
    """How a file writes numbers."""

    order: str = "<"
    """``<`` or ``>``, as :mod:`struct` has it."""
    is_big: bool = False
    """Whether it is a BigTIFF, whose offsets have 64 bits."""

    @property
    def head(self) -> bytes:
        """The file's first bytes, before the offset of the first directory."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.is_big:
            return mark + struct.pack(f"{self.order}HHH", 43, 8, 0)
        return mark + struct.pack(f"{self.order}H", 42)

    @property
    def word(self) -> int:
        """Bytes of an offset, and of a value that stands in its entry."""
        return 8 if self.is_big else 4

    @property
    def offset(self) -> str:
        """An offset, for :mod:`struct`."""
        return self.order + ("Q" if self.is_big else "I")

    def entry(self, tag: int, kind: int, values: Sequence[int] | bytes) -> Entry:
        """Make an entry of whole numbers (RATIONAL: numerators and denominators) or of bytes."""
        if isinstance(values, bytes):
            return Entry(tag, kind, len(values) // _BYTES[kind], values)
        letter = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}[kind]
        data = struct.pack(f"{self.order}{len(values)}{letter}", *values)
        return Entry(tag, kind, len(data) // _BYTES[kind], data)


@dataclass(frozen=True)
class Entry:
    """A tag and its value."""

    tag: int
    kind: int
    """The type's number."""
    count: int
    data: bytes
    """In the file's byte order."""
    inner: Directory | None = None
    """The directory that the value leads to, for EXIF's own, GPS's and interoperability's."""


@dataclass(frozen=True)
class Directory:
    """A directory: a page of a TIFF, or one of EXIF's."""

    entries: tuple[Entry, ...] = ()
    link: int = field(default=0, compare=False)
    """Where the file has the offset of the next directory."""

    def get(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)

    def numbers(self, tag: int, layout: Layout) -> tuple[int, ...]:
        """Return the whole numbers of a tag; none if it is not there or of another type."""
        entry = self.get(tag)
        letter = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}.get(entry.kind) if entry else None
        if entry is None or letter is None:
            return ()
        return struct.unpack(f"{layout.order}{entry.count}{letter}", entry.data)

    def without(self, tags: Iterable[int]) -> Directory:
        """Return the directory without some tags."""
        gone = frozenset(tags)
        return replace(self, entries=tuple(e for e in self.entries if e.tag not in gone))

    def plus(self, *entries: Entry) -> Directory:
        """Return the directory with ``entries`` in the place of those of the same tags."""
        kept = self.without(entry.tag for entry in entries)
        return replace(kept, entries=(*kept.entries, *entries))


def layout_of(file: bytes) -> Layout | None:
    """Return how a TIFF, or EXIF data, writes numbers; None if it is neither."""
    order = {b"II": "<", b"MM": ">"}.get(file[:2])
    if order is None or len(file) < 8:
        return None
    (version,) = struct.unpack_from(f"{order}H", file, 2)
    return Layout(order, version == 43) if version in {42, 43} else None


def read_directories(file: bytes) -> list[Directory]:
    """Return the chained directories of a TIFF or of EXIF data, as far as they can be read.

    A value that lies beyond the end of the file is left out. Nothing is raised for damaged data:
    what is missing then is missing here.
    """
    layout = layout_of(file)
    found: list[Directory] = []
    link = 8 if layout and layout.is_big else 4
    seen: set[int] = set()
    while layout and len(found) < _MOST_DIRECTORIES:
        start = _offset_at(file, link, layout)
        directory = None if start in seen else _read(file, start, layout)
        if directory is None:
            break
        seen.add(start)
        found.append(directory)
        link = directory.link
    return found


def next_offset(file: bytes, directory: Directory) -> int:
    """Return where the directory behind ``directory`` begins; 0 if it is the last one."""
    return _offset_at(file, directory.link, layout_of(file) or Layout())


def _offset_at(file: bytes, at: int, layout: Layout) -> int:
    if at + layout.word > len(file):
        return 0
    return int(struct.unpack_from(layout.offset, file, at)[0])


def _read(file: bytes, start: int, layout: Layout, depth: int = 0) -> Directory | None:
    """Read the directory at ``start``; None if there is none."""
    head, size = (8, 20) if layout.is_big else (2, 12)
    if not 8 <= start <= len(file) - head:
        return None
    (count,) = struct.unpack_from(layout.order + ("Q" if layout.is_big else "H"), file, start)
    end = start + head + size * count
    if not 0 < count <= _MOST_ENTRIES or end > len(file):
        return None
    entries = []
    for at in range(start + head, end, size):
        tag, kind = struct.unpack_from(f"{layout.order}HH", file, at)
        number = _offset_at(file, at + 4, layout)
        length = _BYTES.get(kind, 0) * number
        value = at + 4 + layout.word
        place = value if length <= layout.word else _offset_at(file, value, layout)
        if not length or place + length > len(file):
            continue
        inner = None
        if tag in _NESTED:
            is_offset = kind in {LONG, 13, LONG8, 18} and number == 1 and depth < 2
            target = int.from_bytes(file[place : place + length], _byteorder(layout))
            inner = _read(file, target, layout, depth + 1) if is_offset else None
            if inner is None:
                continue
        entries.append(Entry(tag, kind, number, bytes(file[place : place + length]), inner))
    return Directory(tuple(entries), end)


def _byteorder(layout: Layout) -> Literal["little", "big"]:
    return "little" if layout.order == "<" else "big"


def write_directory(directory: Directory, layout: Layout, start: int) -> tuple[bytes, int]:
    """Lay out a directory, its values and the directories inside it, to stand at ``start``.

    Returns:
        The bytes, and the place within them of the offset of the next directory, which is 0.
    """
    entries = sorted(directory.entries, key=lambda entry: entry.tag)
    head, size = (8, 20) if layout.is_big else (2, 12)
    link = head + size * len(entries)
    table = bytearray(struct.pack(layout.order + ("Q" if layout.is_big else "H"), len(entries)))
    values = bytearray()
    behind = start + link + layout.word
    for entry in entries:
        kind, count, data = entry.kind, entry.count, entry.data
        if entry.inner is not None:
            kind, count = (LONG8 if layout.is_big else LONG), 1
            data = struct.pack(layout.offset, behind + len(values))
            values += write_directory(entry.inner, layout, behind + len(values))[0]
        elif len(data) > layout.word:
            place = behind + len(values)
            # TIFF wants values at even places.
            values += data + bytes(len(data) % 2)
            data = struct.pack(layout.offset, place)
        table += struct.pack(f"{layout.order}HH", entry.tag, kind)
        table += struct.pack(layout.offset, count) + data.ljust(layout.word, b"\0")
    return bytes(table) + bytes(layout.word) + bytes(values), link


def to_exif(directory: Directory, layout: Layout) -> bytes:
    """Return a directory as EXIF data: a TIFF without a picture."""
    layout = replace(layout, is_big=False)
    return layout.head + struct.pack(layout.offset, 8) + write_directory(directory, layout, 8)[0]


WIDTH, LENGTH, COMPRESSION, ORIENTATION, ICC = 256, 257, 259, 274, 34675
BITS, _SAMPLES, PLANES, _FORMAT = 258, 277, 284, 339
_OF_LIBTIFF = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})


def is_read_everywhere(directory: Directory, layout: Layout) -> bool:
    """Whether Pillow, with any libtiff, reads a page, so that what fails then is damaged.

    Not every libtiff has each compression, and Pillow opens no BigTIFF with the most significant
    byte first.
    """
    compression = next(iter(directory.numbers(COMPRESSION, layout)), 1)
    is_known = compression in _OF_LIBTIFF and not (layout.is_big and layout.order == ">")
    return is_known and not is_misread(directory, layout)


def is_misread(directory: Directory, layout: Layout) -> bool:
    """Whether Pillow or OpenCV reads a page without an error and makes another picture of it.

    Planes of 16 bits are taken for samples side by side, and 32 bits without a sign for signed.
    """
    bits = max(directory.numbers(BITS, layout) or (1,))
    planes, kind = (next(iter(directory.numbers(tag, layout)), 1) for tag in (PLANES, _FORMAT))
    samples = next(iter(directory.numbers(_SAMPLES, layout)), 1)
    return (bits == 16 and planes == 2 and samples > 1) or (bits == 32 and kind == 1)


def is_signed(directory: Directory, layout: Layout) -> bool:
    """Whether a page has samples of 9 to 16 bits with a sign, as instruments write them.

    Some fill -32768 to 32767, some 0 to 32767 and some 0 to 4095, and others hold measurements:
    nothing in the file says which number is white. Of 8 bits, Pillow ignores the sign.
    """
    bits = max(directory.numbers(BITS, layout) or (1,))
    return 8 < bits <= 16 and next(iter(directory.numbers(_FORMAT, layout)), 1) == 2


_KIND, _OLD_KIND = 254, 255
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2


def picture_places(file: bytes) -> list[int]:
    """Return which of a TIFF's directories are pages, the first one always.

    Copies of a page at a lower resolution and masks, as archives keep them beside a scan, are none
    (TIFF 6.0, section 8, NewSubfileType and SubfileType).
    """
    layout = layout_of(file) or Layout()
    return [0] + [
        place
        for place, directory in enumerate(read_directories(file))
        if place
        and directory.numbers(WIDTH, layout)
        and not next(iter(directory.numbers(_KIND, layout)), 0) & (_REDUCED | _MASK)
        and next(iter(directory.numbers(_OLD_KIND, layout)), 0) != _OLD_REDUCED
    ]
