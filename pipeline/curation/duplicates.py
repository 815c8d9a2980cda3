"""Photos that are the same, or nearly: hashes, and the groups they form."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.curation.measures import shrink_whole
from pipeline.images import Gray


def perceptual_hash(gray: Gray) -> int:
    """Return the 64-bit DCT hash of ``gray`` (H, W): close photos differ in few bits.

    The photo is averaged down to 32x32; bit i says whether the i-th of the 8x8 lowest frequencies
    of its cosine transform is above their median. The same construction as
    ``imagehash.phash`` (Zauner, "Implementation and benchmarking of perceptual image hash
    functions", 2010, section 3.2.1), with OpenCV's area average and transform.
    """
    halved = shrink_whole(gray, 64)
    small = cv2.resize(halved, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def distance(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()


def near_pairs(hashes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of positions (i < j) whose hashes differ in at most ``most`` bits (0 to 32).

    Cut into ``most + 1`` pieces, two such hashes have a piece in common (pigeonhole), so only those
    that share a piece are compared. Memory is linear in the number of hashes.
    """
    values = np.array(hashes, dtype=np.uint64)
    earlier: list[NDArray[np.uint64]] = []
    for mask, shift in _pieces(most + 1):
        keys = (values >> np.uint64(shift)) & np.uint64(mask)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for members in np.split(order, edges):
            for i, j in _near_within(values, members, most):
                # A pair that has an earlier piece in common was yielded there.
                new = np.ones(len(i), dtype=bool)
                for piece in earlier:
                    new &= piece[i] != piece[j]
                yield from zip(i[new].tolist(), j[new].tolist(), strict=True)
        earlier.append(keys)


def _near_within(
    values: NDArray[np.uint64], members: NDArray[np.intp], most: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Compare all of ``members``, a bounded number at a time: positions of near ones."""
    rows = max(1, _COMPARED // max(1, len(members)))
    for start in range(0, len(members) - 1, rows):
        ones = members[start : start + rows]
        others = members[start + 1 :]
        near = _count_ones(values[ones][:, None] ^ values[others][None, :]) <= most
        # Row r is member start + r, column c is member start + 1 + c: only what lies behind it.
        row, column = np.nonzero(np.triu(near))
        yield ones[row], others[column]


_COMPARED = 1 << 18
"""Hashes compared at a time: a few megabytes."""


def _count_ones(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Count the set bits of each number (NumPy has ``bitwise_count`` only from 2.0 on).

    Source: Warren, "Hacker's Delight" (2nd edition, 2012), figure 5-2, for 64 bits.
    """
    pairs, fours, octets = (
        np.uint64(pattern)
        for pattern in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    )
    x = x - ((x >> np.uint64(1)) & pairs)
    x = (x & fours) + ((x >> np.uint64(2)) & fours)
    x = (x + (x >> np.uint64(4))) & octets
    # The product adds all octets up in the highest; it wraps around, as it should.
    ones: NDArray[np.uint64] = (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return ones


def duplicates_of(
    hashes: Sequence[int], digests: Sequence[int], ranks: Sequence[int], most: int | None
) -> dict[int, tuple[int, int | None]]:
    """Decide which photos give way to a duplicate of theirs.

    Photos are gone through by rank, and each stays unless one that stayed is a duplicate of it; so
    of a chain a-b-c in which only neighbours are near, a and c stay.

    Args:
        hashes: :func:`perceptual_hash` of each photo.
        digests: a hash of the pixels of each photo; equal ones are exact duplicates.
        ranks: the lower, the rather a photo stays; all different.
        most: the distance up to which two hashes are near duplicates; None takes exact ones only.

    Returns:
        For the position of each photo that gives way: the position of the one that stays, and the
        distance of their hashes, None for an exact duplicate.
    """
    links: dict[int, list[int]] = defaultdict(list)
    for i, j in near_pairs(hashes, most or 0):
        if most is not None or digests[i] == digests[j]:
            links[i].append(j)
            links[j].append(i)
    gone: dict[int, tuple[int, int | None]] = {}
    for i in sorted(links, key=lambda position: ranks[position]):
        staying = [j for j in links[i] if ranks[j] < ranks[i] and j not in gone]
        if staying:
            exact = [j for j in staying if digests[j] == digests[i]]
            j = min(
                exact or staying,
                key=lambda other: (distance(hashes[i], hashes[other]), ranks[other]),
            )
            gone[i] = (j, None if exact else distance(hashes[i], hashes[j]))
    return gone


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """Cut 64 bits into ``count`` pieces of about the same width: (mask, shift) of each."""
    edges = [64 * n // count for n in range(count + 1)]
    for low, high in itertools.pairwise(edges):
        yield (1 << (high - low)) - 1, low


class Groups:
    """Things that belong together because each is linked to another of them (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def join(self, one: Hashable, other: Hashable) -> None:
        """Link two things and all that is linked to them."""
        self._parent[self.of(one)] = self.of(other)

    def of(self, thing: Hashable) -> Hashable:
        """Return what stands for the group of ``thing``: the same for all its members."""
        parent = self._parent.setdefault(thing, thing)
        while parent != thing:
            above = self._parent[parent]
            self._parent[thing] = above
            thing, parent = parent, above
        return thing
