"""Photos that are the same, or nearly: hashes, and the groups they form."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.quality import shrink_whole
from pipeline.imaging.decode import Gray


def _lowest_waves() -> NDArray[np.float32]:
    """The first 8 rows of the orthonormal matrix (32, 32) of the cosine transform, DCT-II."""
    waves = np.cos(np.pi / 64 * np.outer(np.arange(8), np.arange(1, 64, 2))) / 4
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)


_WAVES = _lowest_waves()

_MIRROR = np.tile(np.array([1, -1], np.float32), 32)
"""Mirrored, a photo has its odd horizontal waves (8x8, row by row) upside down."""


def perceptual_hash(gray: Gray) -> int:
    """Return the 64-bit DCT hash of ``gray`` (H, W): close photos differ in few bits.

    The photo is averaged down to 32x32; bit i says whether the i-th of the 8x8 lowest frequencies
    of its cosine transform is above their median. The same construction as
    ``imagehash.phash`` (Zauner, "Implementation and benchmarking of perceptual image hash
    functions", 2010, section 3.2.1), with OpenCV's area average.
    """
    return _above_median(_low_frequencies(gray))


def both_hashes(gray: Gray) -> tuple[int, int]:
    """Return the :func:`perceptual_hash` of ``gray`` (H, W) and that of its mirror image.

    The latter is exact but for the last columns, which both cut off at the right edge.
    """
    low = _low_frequencies(gray)
    return _above_median(low), _above_median(low * _MIRROR)


def _low_frequencies(gray: Gray) -> NDArray[np.float32]:
    """The 8x8 lowest frequencies (64,) of ``gray``, averaged down to 32x32."""
    halved = shrink_whole(gray, 64)
    small = cv2.resize(halved, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray((_WAVES @ small @ _WAVES.T).ravel(), np.float32)


def _above_median(low: NDArray[np.float32]) -> int:
    """A bit for each of ``low`` (64,), the first the highest."""
    ordered = np.sort(low)
    middle = (ordered[31] + ordered[32]) / 2
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


def distance(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()


def near_pairs(hashes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of positions (i < j) whose hashes differ in at most ``most`` bits (0 to 32).

    Of four pieces of 16 bits, two such hashes have one that differs in at most ``most // 4`` bits
    (pigeonhole). So each hash is compared with those only that have, in some piece, one of the few
    values that near its own: multi-index hashing (Norouzi, Punjani, Fleet, "Fast search in Hamming
    space with multi-index hashing", CVPR 2012, section 2). Few hashes, or far ones, are sooner
    compared all with all. Memory is linear in the number of hashes.
    """
    values = np.array(hashes, dtype=np.uint64)
    yield from _near(values, values, most)


def near_across(ones: Sequence[int], others: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of positions, in ``ones`` and in ``others``, of near hashes.

    As :func:`near_pairs` does within one list.
    """
    yield from _near(np.array(ones, np.uint64), np.array(others, np.uint64), most)


def _near(
    ones: NDArray[np.uint64], others: NDArray[np.uint64], most: int
) -> Iterator[tuple[int, int]]:
    flips = _flips(most // _PIECES)
    looked_up = _PIECES * len(flips) * (len(ones) + _LOOK_UP_COST)
    found = _among_all if len(ones) * len(others) < looked_up else _by_pieces
    for i, j in found(ones, others, most, flips):
        yield from zip(i.tolist(), j.tolist(), strict=True)


_PIECES = 4
_LOOK_UP_COST = 10_000
"""Comparisons that take as long as what a search in all buckets takes besides its comparisons."""
_COMPARED = 1 << 18
"""Hashes compared at a time: a few megabytes."""

_BLOCK = 1024
"""Photos compared at a time with those that stay already."""

_Found = Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Positions of near hashes, a bounded number at a time; where both are of one list, i < j."""


def _among_all(
    ones: NDArray[np.uint64], others: NDArray[np.uint64], most: int, _flips: Sequence[int]
) -> _Found:
    """Compare all with all, or within one list each with all behind it."""
    rows = max(1, _COMPARED // max(1, len(others)))
    for start in range(0, len(ones), rows):
        first = start + 1 if ones is others else 0
        near = np.bitwise_count(ones[start : start + rows, None] ^ others[None, first:]) <= most
        # Row r is position start + r, column c is first + c: within one list what lies behind r.
        row, column = np.divmod(np.flatnonzero(near), len(others) - first)
        if ones is others:
            row, column = row[behind := column >= row], column[behind]
        yield start + row, first + column


def _by_pieces(
    ones: NDArray[np.uint64], others: NDArray[np.uint64], most: int, flips: Sequence[int]
) -> _Found:
    """Compare each hash with those in whose buckets a piece of it, some bits flipped, falls."""
    pieces = [(_piece(ones, number), _piece(others, number)) for number in range(_PIECES)]
    for number, (piece, filed) in enumerate(pieces):
        order = np.argsort(filed, kind="stable")
        # Bucket b is order[edges[b] : edges[b + 1]].
        edges = np.zeros((1 << 16) + 1, np.intp)
        np.cumsum(np.bincount(filed, minlength=1 << 16), out=edges[1:])
        for flip in flips:
            wanted = piece ^ flip
            starts, counts = edges[wanted], edges[wanted + 1] - edges[wanted]
            if ones is others:
                # Two different pieces would find each other: the lesser looks for the greater.
                counts[wanted < piece] = 0
            for part in _parts(counts):
                i, j = _pairs_of(order, part, starts[part], counts[part])
                near = np.bitwise_count(ones[i] ^ others[j]) <= most
                if ones is others and not flip:
                    near &= i < j
                i, j = i[near], j[near]
                # A pair that an earlier piece brings together was yielded there.
                new = np.ones(len(i), dtype=bool)
                for earlier, other in pieces[:number]:
                    new &= np.bitwise_count(earlier[i] ^ other[j]) > most // _PIECES
                i, j = i[new], j[new]
                yield (np.minimum(i, j), np.maximum(i, j)) if ones is others else (i, j)


def _piece(values: NDArray[np.uint64], number: int) -> NDArray[np.intp]:
    piece = (values >> np.uint64(16 * number)) & np.uint64(0xFFFF)
    return np.asarray(piece, np.intp)


def _flips(most: int) -> list[int]:
    """All numbers of 16 bits of which at most ``most`` are set."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in itertools.combinations(range(16), count)
    ]


def _parts(counts: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Cut the positions of ``counts`` that are not zero into runs of bounded sum."""
    positions = np.flatnonzero(counts)
    runs = counts[positions].cumsum() // _COMPARED
    yield from np.split(positions, np.flatnonzero(np.diff(runs)) + 1)


def _pairs_of(
    order: NDArray[np.intp],
    ones: NDArray[np.intp],
    starts: NDArray[np.intp],
    counts: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair each of ``ones`` with its bucket: ``counts`` places of ``order`` from ``starts`` on."""
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return np.repeat(ones, counts), order[np.repeat(starts, counts) + within]


def duplicates_of(
    hashes: Sequence[int], digests: Sequence[int], ranks: Sequence[int], most: int | None
) -> dict[int, tuple[int, int | None]]:
    """Decide which photos give way to a duplicate of theirs.

    Photos are gone through by rank, and each stays unless one that stayed is a duplicate of it; so
    of a chain a-b-c in which only neighbors are near, a and c stay.

    Args:
        hashes: :func:`perceptual_hash` of each photo.
        digests: a hash of the pixels of each photo; equal ones are exact duplicates.
        ranks: the lower, the rather a photo stays; all different.
        most: the distance up to which two hashes are near duplicates; None takes exact ones only.

    Returns:
        For the position of each photo that gives way: the position of the one that stays, and the
        distance of their hashes, None for an exact duplicate.
    """
    order = sorted(range(len(hashes)), key=lambda position: ranks[position])
    kept: list[int] = []
    gone: dict[int, tuple[int, int | None]] = {}
    if most is None:
        firsts: dict[int, int] = {}
        for i in order:
            if (first := firsts.setdefault(digests[i], i)) != i:
                gone[i] = (first, None)
        return gone
    # Compared with those that stay only, of which few are near each other: there may be thousands
    # of near duplicates, copies of a placeholder or frames of one film, and all their pairs would
    # fill the memory.
    while block := order[len(kept) + len(gone) :][: max(_BLOCK, len(kept) // 8)]:
        nearest = _nearest([hashes[i] for i in block], [hashes[i] for i in kept], most)
        recent, start = np.zeros(len(block), np.uint64), len(kept)
        for i, found in zip(block, nearest, strict=True):
            closest = found
            if len(kept) > start:
                bits = np.bitwise_count(recent[: len(kept) - start] ^ np.uint64(hashes[i]))
                place = int(bits.argmin())
                closest = min(found, (int(bits[place]), start + place))
            apart, place = closest
            if apart <= most:
                stays = kept[place]
                gone[i] = (stays, None if digests[i] == digests[stays] else apart)
            else:
                recent[len(kept) - start] = hashes[i]
                kept.append(i)
    return gone


def _nearest(ones: Sequence[int], others: Sequence[int], most: int) -> list[tuple[int, int]]:
    """For each of ``ones`` the distance and the position of the nearest of ``others``.

    Of equally near ones the first; a distance over 64 where none is near.
    """
    found = [(65, 0)] * len(ones)
    for i, j in near_across(ones, others, most):
        found[i] = min(found[i], (distance(ones[i], others[j]), j))
    return found


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
