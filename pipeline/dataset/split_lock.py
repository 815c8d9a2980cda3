"""The lock: a table of all photos that were ever tested with, by name and by what they look like.

A name alone would not do. The larger copy of a photo takes its place in the data set, a file is
renamed, or saved again: the scene is the same, and belongs in the test as before. So each row has
the hash of the photo's gray copy too. Rows are only added: what a run does not see, because it is
missing, of another folder or drawn by another seed, was tested with all the same and may be back
tomorrow. Whoever wants a row gone takes it out by hand.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.hashing import distance
from pipeline.dataset.near_duplicates import Look
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
    def look(self) -> int | None:
        """The hash as a number."""
        return int(self.hash, 16) if self.hash else None


@dataclass(frozen=True)
class Claims:
    """What the lock says about the photos that are there, as positions."""

    locked: frozenset[int]
    """Photos that were tested with, one at most for each row."""
    alike: frozenset[int]
    """Photos that look like one that was tested with, or have its name, and that is there too, or
    of their category."""
    strangers: frozenset[int]
    """Photos that look like one of another category that is not there."""


def read_lock(path: Path) -> list[LockRow]:
    """Read the rows of the lock, none if there is no file.

    Raises:
        ColorpipeError: the file is no lock.
    """
    rows = read_table(path, LockRow) if path.exists() else []
    for row in rows:
        if not re.fullmatch("(?:[0-9a-f]{16})?", row.hash):
            raise ColorpipeError(
                f"{path} has '{row.hash}' as the hash of '{row.name}' where 16 hex digits belong;"
                " put back what was committed, or leave that field empty."
            )
    return rows


def write_lock(path: Path, rows: list[LockRow]) -> None:
    """Write the lock, if it is not there or says something else."""
    if not path.exists() or read_lock(path) != rows:
        write_table(path, rows, LockRow)


def find_claims(
    rows: Sequence[LockRow], photos: Sequence[Look], alike: Mapping[int, Collection[int]]
) -> Claims:
    """Find the photos that ``rows`` speak of.

    A row speaks of the photo of its name, unless that looks different while another of the category
    looks like it: then names have changed, and the content tells. It speaks of no second photo that
    looks like the first, since one is enough to take its place.

    Args:
        rows: of one seed.
        photos: all that are there.
        alike: for the hash of each row the photos that look like it.
    """
    named: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, photo in enumerate(photos):
        named[photo.category, photo.name].append(i)
    namesakes = [named.get((row.category, row.name), []) for row in rows]
    looks = [row.look for row in rows]
    near = [set[int]() if look is None else set(alike[look]) for look in looks]
    locked = set[int]()
    for look, of_name, of_look in zip(looks, namesakes, near, strict=True):
        locked.update([i for i in of_name if look is None or i in of_look][:1])
    here, elsewhere = set[int](), set[int]()
    for row, look, of_name, of_look in zip(rows, looks, namesakes, near, strict=True):
        own = [i for i in of_look if photos[i].category == row.category]
        if own and look is not None and locked.isdisjoint(own):
            locked.add(_most_alike(own, photos, look))
        elif not own:
            locked.update(of_name[:1])
        (here if own or of_name else elsewhere).update(of_look, of_name)
    return Claims(frozenset(locked), frozenset(here), frozenset(elsewhere - here))


def _most_alike(places: Sequence[int], photos: Sequence[Look], look: int) -> int:
    return min(places, key=lambda i: (photos[i].apart(look), photos[i].name))


def with_tested(
    rows: Sequence[LockRow], photos: Sequence[Look], tested: Collection[int], seed: int, most: int
) -> list[LockRow]:
    """Return ``rows`` and one for each tested photo that none of them tells of, sorted.

    Rows without a hash get that of the photo of their name. A photo of a row's name that looks
    different (it is another, or all photos are cut otherwise now) gets a row of its own.

    Args:
        rows: of all seeds.
        photos: all that are there.
        tested: positions in ``photos``.
        seed: by which they were drawn.
        most: bits in which the hashes of photos that look alike may differ.
    """
    hashes = {(photo.category, photo.name): photo.hash for photo in reversed(photos)}
    result = set[LockRow]()
    told: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        key = row.category, row.name
        seen = row
        if not row.hash and key in hashes:
            seen = dataclasses.replace(row, hash=f"{hashes[key]:016x}")
        result.add(seen)
        if seen.seed == seed and seen.look is not None:
            told[key].append(seen.look)
    for i in tested:
        photo = photos[i]
        if all(distance(look, photo.hash) > most for look in told[photo.category, photo.name]):
            result.add(LockRow(photo.category, photo.name, seed, f"{photo.hash:016x}"))
    return sorted(result)
