"""The lock: a table of all photos that were ever tested with, by name and by perceptual hash.

A name alone would not do. The larger copy of a photo takes its place in the data set, a file is
renamed, or saved again: the scene is the same, and belongs in the test as before. So each row also
has the hash of the photo's gray copy. Rows are only added. A photo that one run does not see,
because it is missing, of another folder or drawn by another seed, was tested with all the same and
may be back tomorrow. To remove a row, delete it by hand.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.hashing import distance
from pipeline.dataset.near_duplicates import HashedPhoto
from pipeline.errors import ColorpipeError
from pipeline.files.csv_tables import read_table, write_table


@dataclass(frozen=True, order=True)
class LockRow:
    """A row of the lock: a photo that was tested with."""

    category: str
    name: str
    seed: int
    """Another seed is another draw."""
    hash: str = ""
    """:func:`perceptual_hash` in 16 hex digits; empty in a lock from before there were hashes,
    until the photo is seen."""

    @property
    def value(self) -> int | None:
        """The hash as a number; None if there is none."""
        return int(self.hash, 16) if self.hash else None


@dataclass(frozen=True)
class Claims:
    """What the lock says about the photos of a run, as positions."""

    locked: frozenset[int]
    """Photos that were tested with, at most one for each row."""
    alike: frozenset[int]
    """Photos with the name or the looks of one that was tested with, if that is in this run too, or
    of their category; and those that are one of another category, with its very hash, or with its
    name and its looks."""
    alike_elsewhere: Mapping[int, int]
    """Photos that merely look like one of another category that is not in this run, and in how many
    bits they differ from it."""


def read_lock(path: Path) -> list[LockRow]:
    """Read the rows of the lock, none if there is no file.

    Raises:
        ColorpipeError: the file is not a lock, or cannot be read.
    """
    try:
        rows = read_table(path, LockRow) if path.exists() else []
    except ColorpipeError as error:
        if isinstance(error.__cause__, OSError):
            raise ColorpipeError(
                f"The lock {path} could not be read ({error.__cause__.strerror}); make it a file"
                " that may be read, or name another one with --lock."
            ) from error
        if path.stat().st_size == 0:
            first = ",".join(field.name for field in dataclasses.fields(LockRow))
            raise ColorpipeError(
                f"The lock {path} is empty, even of its first line. Restore the version that was"
                " committed; only if no photo was ever tested with, write a line into it that says"
                f" {first}."
            ) from error
        # Not with the advice to make the table again: what it knows would be gone.
        raise ColorpipeError(
            f"{path} has lines that are no rows of it. Do not delete it, for the photos that it"
            " names must not be trained on: if git left a conflict in it, keep the rows of both"
            " sides, without the lines that begin with <<<<<<<, ======= and >>>>>>>; otherwise"
            " restore the version that was committed."
        ) from error
    for row in rows:
        if not re.fullmatch("(?:[0-9a-f]{16})?", row.hash):
            raise ColorpipeError(
                f"{path} has '{row.hash}' as the hash of '{row.name}' where 16 hex digits belong;"
                " restore the version that was committed, or leave that field empty."
            )
    return rows


def write_lock(path: Path, rows: list[LockRow]) -> None:
    """Write the lock, unless the file has these rows already; a link to it stays a link."""
    if not path.exists() or read_lock(path) != rows:
        write_table(path.resolve(), rows, LockRow)


def find_claims(
    rows: Sequence[LockRow], photos: Sequence[HashedPhoto], alike: Mapping[int, Collection[int]]
) -> Claims:
    """Find the photos that ``rows`` are about.

    A row is about the photo of its name, unless that looks different while another of the category
    looks alike: then names have changed, and the content decides. If several photos look alike, one
    of them is enough to take the place.

    Args:
        rows: of one seed.
        photos: all photos of the run.
        alike: for the hash of each row, the positions of the photos that look like it.
    """
    named: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, photo in enumerate(photos):
        named[photo.category, photo.name].append(i)
    namesakes = [named.get((row.category, row.name), []) for row in rows]
    values = [row.value for row in rows]
    near = [set[int]() if value is None else set(alike[value]) for value in values]
    locked = set[int]()
    for value, of_name, of_looks in zip(values, namesakes, near, strict=True):
        locked.update([i for i in of_name if value is None or i in of_looks][:1])
    here = set[int]()
    elsewhere: dict[int, int] = {}
    for row, value, of_name, of_looks in zip(rows, values, namesakes, near, strict=True):
        own = [i for i in of_looks if photos[i].category == row.category]
        if own and value is not None and locked.isdisjoint(own):
            locked.add(_most_alike(own, photos, value))
        elif not own:
            locked.update(of_name[:1])
        if own or of_name or value is None:
            here.update(of_looks, of_name)
            continue
        for i in sorted(of_looks):
            bits = photos[i].distance_to(value)
            if bits == 0 or photos[i].name == row.name:
                here.add(i)
            else:
                elsewhere[i] = min(bits, elsewhere.get(i, bits))
    merely_alike = {i: bits for i, bits in elsewhere.items() if i not in here}
    return Claims(frozenset(locked), frozenset(here), merely_alike)


def _most_alike(positions: Sequence[int], photos: Sequence[HashedPhoto], value: int) -> int:
    return min(positions, key=lambda i: (photos[i].distance_to(value), photos[i].name))


def with_tested(
    rows: Sequence[LockRow],
    photos: Sequence[HashedPhoto],
    tested: Collection[int],
    seed: int,
    most: int,
) -> list[LockRow]:
    """Return ``rows``, and a row for each test photo that none of them is about, sorted.

    Rows without a hash get that of the photo of their name. A photo of a row's name that looks
    different (it is another one, or all photos are cropped in another way now) gets its own row.

    Args:
        rows: of all seeds.
        photos: all photos of the run.
        tested: positions in ``photos``.
        seed: that they were drawn with.
        most: bits in which the hashes of photos that look alike may differ.
    """
    hashes = {(photo.category, photo.name): photo.hash for photo in reversed(photos)}
    result = set[LockRow]()
    recorded: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        key = row.category, row.name
        completed = row
        if not row.hash and key in hashes:
            completed = dataclasses.replace(row, hash=f"{hashes[key]:016x}")
        result.add(completed)
        if completed.seed == seed and completed.value is not None:
            recorded[key].append(completed.value)
    for i in tested:
        photo = photos[i]
        values = recorded[photo.category, photo.name]
        if all(distance(value, photo.hash) > most for value in values):
            result.add(LockRow(photo.category, photo.name, seed, f"{photo.hash:016x}"))
    return sorted(result)
