"""Which photos look alike, as they are or mirrored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.dataset.hashing import Groups, distance, near_across, near_pairs


@dataclass(frozen=True)
class Look:
    """A photo, and what it looks like."""

    category: str
    name: str
    hash: int
    """:func:`perceptual_hash` of the photo, and of its mirror image."""
    mirrored: int

    def apart(self, other: int) -> int:
        """Return in how many bits ``other`` differs from this photo or from its mirror image."""
        return min(distance(self.hash, other), distance(self.mirrored, other))


def link_alike(
    photos: Sequence[Look], known: Collection[int], most: int
) -> tuple[Groups, dict[int, set[int]]]:
    """Group the photos that look alike, and find those that look like something known.

    Args:
        photos: in any order.
        known: hashes of other photos.
        most: bits in which the hashes of photos that look alike may differ.

    Returns:
        Groups of positions in ``photos``; and for each of ``known`` the positions like it.
    """
    groups = Groups()
    # Of those with the same hash one stands for all: there may be thousands.
    firsts: dict[int, int] = {}
    mirrored: dict[int, int] = {}
    for i, photo in enumerate(photos):
        groups.join(i, firsts.setdefault(photo.hash, i))
        groups.join(i, mirrored.setdefault(photo.mirrored, i))
    near = {hash_: {hash_} for hash_ in known}
    straight, turned = [*firsts, *near.keys() - firsts.keys()], list(mirrored)

    def link(one: int, other: int, holders: dict[int, int]) -> None:
        if one in firsts and other in holders:
            groups.join(firsts[one], holders[other])
        if one in near:
            near[one].add(other)

    for a, b in near_pairs(straight, most):
        link(straight[a], straight[b], firsts)
        link(straight[b], straight[a], firsts)
    for a, b in near_across(straight, turned, most):
        link(straight[a], turned[b], mirrored)
    holders: dict[int, list[int]] = defaultdict(list)
    wanted = set[int]().union(*near.values())
    for i, photo in enumerate(photos):
        for hash_ in {photo.hash, photo.mirrored} & wanted:
            holders[hash_].append(i)
    return groups, {
        hash_: {i for value in values for i in holders[value]} for hash_, values in near.items()
    }
