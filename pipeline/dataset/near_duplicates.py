"""Which photos are the same picture, or nearly, as they are or mirrored.

All hashes are compared with all: 100,000 photos take some seconds, most of which a cleverer search
would take as well.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.dataset.hashing import distance
from pipeline.files.cores import cores


@dataclass(frozen=True)
class HashedPhoto:
    """A photo, and the hashes by which it is recognized."""

    category: str
    name: str
    hash: int
    """:func:`~pipeline.dataset.hashing.perceptual_hash` of the photo."""
    mirrored: int
    """The same of its mirror image."""

    def distance_to(self, other: int) -> int:
        """Return in how many bits ``other`` differs from this photo or from its mirror image."""
        return min(distance(self.hash, other), distance(self.mirrored, other))


def find_duplicates(
    hashes: Sequence[int], pixels: Sequence[Hashable], order: Sequence[int], most: int | None
) -> dict[int, tuple[int, int | None]]:
    """Find the photos of which a duplicate is kept.

    Each photo, in the given order, is kept unless it is a duplicate of one that was kept before. So
    of a chain a-b-c in which only neighbors are near, a and c are kept.

    Args:
        hashes: the perceptual hash of each photo.
        pixels: equal for photos with equal pixels.
        order: the positions of all photos, first those that are kept rather than others.
        most: the distance up to which two hashes are near duplicates; None finds exact ones only.

    Returns:
        For the position of each photo that is not kept: the position of its duplicate that is, and
        the distance of their hashes, None for equal pixels.
    """
    found: dict[int, tuple[int, int | None]] = {}
    if most is None:
        first: dict[Hashable, int] = {}
        for i in order:
            if (kept_one := first.setdefault(pixels[i], i)) != i:
                found[i] = (kept_one, None)
        return found
    kept: list[int] = []
    # Compared with what is kept alone, there may be thousands of copies of one placeholder.
    hashes_kept = np.empty(len(hashes), np.uint64)
    for i in order:
        distances = np.bitwise_count(hashes_kept[: len(kept)] ^ np.uint64(hashes[i]))
        nearest = int(distances.argmin()) if kept else 0
        if kept and distances[nearest] <= most:
            same = pixels[i] == pixels[kept[nearest]]
            found[i] = (kept[nearest], None if same else int(distances[nearest]))
        else:
            hashes_kept[len(kept)] = hashes[i]
            kept.append(i)
    return found


class Groups:
    """Things that belong together because each is linked to another of them (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def join(self, one: Hashable, other: Hashable) -> None:
        """Link two things, and with them all that each is linked to."""
        self._parent[self.of(one)] = self.of(other)

    def of(self, thing: Hashable) -> Hashable:
        """Return the representative of the group of ``thing``: the same for all its members."""
        parent = self._parent.setdefault(thing, thing)
        while parent != thing:
            above = self._parent[parent]
            self._parent[thing] = above
            thing, parent = parent, above
        return thing


def group_alike(photos: Sequence[HashedPhoto], most: int) -> Groups:
    """Group the positions of photos that look alike, as they are or mirrored.

    Args:
        photos: in any order.
        most: bits in which the hashes of photos that look alike may differ.
    """
    groups = Groups()
    # Of photos with the same hash one is compared for all: there may be thousands.
    straight: dict[int, int] = {}
    mirrored: dict[int, int] = {}
    for i, photo in enumerate(photos):
        groups.join(i, straight.setdefault(photo.hash, i))
        groups.join(i, mirrored.setdefault(photo.mirrored, i))
    hashes, mirrored_hashes = list(straight), list(mirrored)
    for one, other in near_pairs(hashes, None, most):
        groups.join(straight[hashes[one]], straight[hashes[other]])
    for one, other in near_pairs(hashes, mirrored_hashes, most):
        groups.join(straight[hashes[one]], mirrored[mirrored_hashes[other]])
    return groups


def photos_like(
    hashes: Collection[int], photos: Sequence[HashedPhoto], most: int
) -> dict[int, set[int]]:
    """Return for each of ``hashes`` the positions of the photos that look like it.

    Args:
        hashes: of other photos.
        photos: in any order.
        most: bits in which the hashes of photos that look alike may differ.
    """
    straight = np.array([photo.hash for photo in photos], np.uint64)
    mirrored = np.array([photo.mirrored for photo in photos], np.uint64)
    alike = {}
    for hash_ in hashes:
        value = np.uint64(hash_)
        near = np.bitwise_count(straight ^ value) <= most
        near |= np.bitwise_count(mirrored ^ value) <= most
        alike[hash_] = set(np.flatnonzero(near).tolist())
    return alike


_ROWS, _COLUMNS = 16, 8192
"""Hashes compared at a time: about a megabyte of intermediate results, which a core's cache holds.
"""
_STRIPES = 256
"""Stripes of rows whose pairs wait in memory."""


def near_pairs(
    ones: Sequence[int], others: Sequence[int] | None, most: int
) -> Iterator[tuple[int, int]]:
    """Yield the positions in ``ones`` and in ``others`` of hashes that differ in ``most`` bits.

    Args:
        ones: hashes of 64 bits.
        others: more of them; None pairs ``ones`` with each other, each pair once, (i, j) with
            i < j.
        most: bits in which the two of a pair may differ.
    """
    rows = np.array(ones, np.uint64)
    columns = rows if others is None else np.array(others, np.uint64)

    def compare(top: int) -> list[tuple[int, int]]:
        stripe = rows[top : top + _ROWS, None]
        pairs: list[tuple[int, int]] = []
        for left in range(top if others is None else 0, len(columns), _COLUMNS):
            block = columns[left : left + _COLUMNS]
            near = np.flatnonzero(np.bitwise_count(stripe ^ block) <= most).tolist()
            pairs += [(top + at // len(block), left + at % len(block)) for at in near]
        return pairs if others is not None else [(i, j) for i, j in pairs if i < j]

    stripes = range(0, len(rows), _ROWS)
    # Threads: numpy lets go of Python's lock while it compares.
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(stripes), _STRIPES):
            for pairs in pool.map(compare, stripes[start : start + _STRIPES]):
                yield from pairs
