"""Which photos are the same picture, or nearly, as they are or mirrored.

All hashes are compared with all: 100,000 photos take some seconds, most of which a cleverer search
would take as well.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.hashing import distance
from pipeline.files.cores import cores

_Positions: TypeAlias = NDArray[np.int32]


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
    links = _Links(len(photos))
    # Of photos with the same hash one is compared for all: there may be thousands.
    straight: dict[int, int] = {}
    mirrored: dict[int, int] = {}
    for i, photo in enumerate(photos):
        links.join(i, straight.setdefault(photo.hash, i))
        links.join(i, mirrored.setdefault(photo.mirrored, i))
    _join_near(links, straight, straight, most)
    _join_near(links, straight, mirrored, most)
    groups = Groups()
    for i, label in enumerate(links.labels.tolist()):
        groups.join(i, label)
    return groups


class _Links:
    """Numbers that are linked to each other, as in :class:`Groups`, for many pairs at a time."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count, dtype=np.int32)
        """For each number one of its group, the same for all of the group."""
        self._members: dict[int, list[int]] = {}
        """By label, the numbers of each group of several."""

    def join(self, one: int, other: int) -> None:
        """Link two numbers, and with them all that each is linked to."""
        kept, gone = int(self.labels[one]), int(self.labels[other])
        if kept == gone:
            return
        larger, smaller = (self._members.pop(label, [label]) for label in (kept, gone))
        if len(larger) < len(smaller):
            kept, larger, smaller = gone, smaller, larger
        self.labels[smaller] = kept
        larger += smaller
        self._members[kept] = larger

    def unlinked(self, ones: _Positions, others: _Positions) -> tuple[_Positions, _Positions]:
        """Return those pairs of numbers, (N,) and (N,), that are not linked yet."""
        apart = self.labels[ones] != self.labels[others]
        return ones[apart], others[apart]


_ROWS, _COLUMNS = 16, 8192
"""Hashes compared at a time: about a megabyte of intermediate results, which a core's cache holds.
"""


def _join_near(
    links: _Links, ones: Mapping[int, int], others: Mapping[int, int], most: int
) -> None:
    """Link the photos whose hashes of 64 bits differ in at most ``most`` bits.

    Of thousands of frames of one film nearly all pairs are near. So those that are linked already,
    by way of other photos, are left out as soon as they are found.

    Args:
        links: of the positions of photos.
        ones: by hash, the position of a photo.
        others: the same, to compare all of ``ones`` with; may be ``ones``.
        most: bits in which the two of a pair may differ.
    """
    rows, columns = (np.fromiter(hashes, np.uint64, len(hashes)) for hashes in (ones, others))
    row_places, column_places = (
        np.fromiter(hashes.values(), np.int32, len(hashes)) for hashes in (ones, others)
    )

    def compare(top: int) -> list[tuple[_Positions, _Positions]]:
        stripe = rows[top : top + _ROWS, None]
        pairs = []
        for left in range(top if ones is others else 0, len(columns), _COLUMNS):
            block = columns[left : left + _COLUMNS]
            near = np.flatnonzero(np.bitwise_count(stripe ^ block) <= most)
            if len(near):
                row, column = np.divmod(near, len(block))
                pairs.append(links.unlinked(row_places[top + row], column_places[left + column]))
        return pairs

    # Threads: numpy lets go of Python's lock while it compares.
    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        pending = deque[Future[list[tuple[_Positions, _Positions]]]]()
        for top in range(0, len(rows), _ROWS):
            pending.append(pool.submit(compare, top))
            # Not further ahead: what was found before is linked by then, and left out.
            if len(pending) > 2 * workers:
                _join_pairs(links, pending.popleft().result())
        for future in pending:
            _join_pairs(links, future.result())


def _join_pairs(links: _Links, pairs: Iterable[tuple[_Positions, _Positions]]) -> None:
    for ones, others in itertools.starmap(links.unlinked, pairs):
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            links.join(one, other)


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
