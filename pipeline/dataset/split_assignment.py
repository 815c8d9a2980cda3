"""Who is tested with: an exact number of photos of each category, and always the same ones.

Three wishes conflict: exactly N photos of each category in the test, every other photo in training,
and no photo that ever changes sides because others were added. No rule that looks at the photos
alone can grant all three. Taking the N smallest hashes, for example, pushes a photo from the test
into training whenever one with a smaller hash arrives.

So the choice is remembered. The first time, photos are ranked by a hash of their name (which in
this project comes from their content) and the seed. The test set is then written to a small table,
the lock, which belongs into version control as ``dvc.lock`` does. What is in it is never trained on
again: it is in the test as long as the test needs photos, and otherwise left out. New photos go to
training. Only photos that are removed, or a test that is to be larger, make room for others, which
are then locked too. Without the table the ranking gives the same result for the same photos.

The lock only grows, so that what is missing in one run, a file or a whole category, is known when
it comes back. The price is that a category may then have more locked photos than test photos; the
first of them by rank are the test, and the others are left out.

Photos that belong together (near duplicates, or from one web page) must not be on both sides. A
group goes to the test whole if it fits there. If only a part of it fits, or photos of the group
arrive when the test is full, the rest is left out of both sides. A locked photo that is missing
still counts: what looks like it stands in for it, and is not trained on.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import ColorpipeError

TRAIN, TEST, VAL, LEFT_OUT = "train", "test", "val", "left out"
"""Sides. What is left out belongs to a photo of the test."""


class NothingToTrainOnError(ColorpipeError):
    """A category has no photo left to train on."""

    def __init__(self, category: str) -> None:
        super().__init__(
            f"No photo of '{category}' is left to train on: all of them were tested with before"
            " (split.lock), are near duplicates of such photos, come from the same pages or went to"
            " validation. Find more photos, or lower split.test_per_category, split.group_distance"
            " or split.val_fraction, or delete rows of photos that no longer exist from split.lock."
        )
        self.category = category


@dataclass(frozen=True)
class GroupedPhoto:
    """A photo to assign."""

    category: str
    name: str
    """Unique in its category."""
    group: Hashable
    """Equal for photos that belong together, whatever their categories."""


def assign(
    photos: Sequence[GroupedPhoto],
    per_category: int,
    seed: int = 0,
    locked: Collection[tuple[str, str]] = (),
    val_fraction: float = 0.0,
    *,
    barred: Collection[Hashable] = (),
) -> list[str]:
    """Choose a side for each photo, as the module's text explains.

    Args:
        photos: in any order, which does not matter.
        per_category: test photos of each category.
        seed: another one draws another order.
        locked: (category, name) of the photos that were tested with before.
        val_fraction: the share of the groups outside the test that is for validation, by hash.
        barred: groups that belong to photos that were tested with, besides those of ``locked``.

    Returns:
        The side of each photo.

    Raises:
        ColorpipeError: a category has too few photos to test with and train on.
        NothingToTrainOnError: a category has enough, but none is left.
    """
    check_sizes((photo.category for photo in photos), per_category)
    ranks = [rank(photo.category, photo.name, seed) for photo in photos]
    order = sorted(range(len(photos)), key=lambda i: ranks[i])
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i in order:
        groups[photos[i].group].append(i)
    room = {photo.category: per_category for photo in photos}
    tested: set[int] = set()

    def take(members: Sequence[int]) -> None:
        for i in members:
            if room[photos[i].category] > 0:
                room[photos[i].category] -= 1
                tested.add(i)

    known = [i for i in order if (photos[i].category, photos[i].name) in locked]
    take(known)
    # What belongs to a photo of the test can be nowhere else, so it comes first when there is room.
    closed = {photos[i].group for i in known}.union(barred)
    take([i for i in order if photos[i].group in closed and i not in tested])
    untouched = [members for group, members in groups.items() if group not in closed]
    for members in untouched:
        if not any(room.values()):
            break
        wanted = Counter(photos[i].category for i in members)
        if all(count <= room[category] for category, count in wanted.items()):
            take(members)
    for members in untouched:
        if members[0] not in tested:
            take(members)
    closed.update(photos[i].group for i in tested)
    others = [members for group, members in groups.items() if group not in closed]
    sides = [TEST if i in tested else LEFT_OUT for i in range(len(photos))]
    for i in itertools.chain.from_iterable(others):
        sides[i] = TRAIN
    _take_validation(photos, others, sides, seed, val_fraction)
    _check_training(photos, sides)
    return sides


def check_sizes(categories: Iterable[str], per_category: int) -> None:
    """Check that each category has photos to test with and one more to train on.

    Args:
        categories: of each photo.
        per_category: test photos of each category.

    Raises:
        ColorpipeError: some have too few.
    """
    counts = Counter(categories)
    short = {category: n for category, n in sorted(counts.items()) if n <= per_category}
    if short:
        have = ", ".join(f"'{category}' has {count}" for category, count in short.items())
        raise ColorpipeError(
            f"With split.test_per_category {per_category} every category needs at least"
            f" {per_category + 1} photos, one to train on; {have}. Find more photos, lower"
            " split.test_per_category, or remove these categories."
        )


def rank(category: str, name: str, seed: int) -> float:
    """Return a photo's place among those of its category, 0 to 1: low ones are tested with."""
    return _fraction(f"{seed}/{name}/{category}")


def _take_validation(
    photos: Sequence[GroupedPhoto],
    others: Sequence[Sequence[int]],
    sides: list[str],
    seed: int,
    fraction: float,
) -> None:
    """Move the groups with a hash below ``fraction``, at least one, from training to validation.

    No category loses its last photo to train on.
    """
    ranks = {members[0]: _fraction(f"val/{seed}/{photos[members[0]].name}") for members in others}
    training = Counter(photos[i].category for members in others for i in members)
    moved = 0
    for members in sorted(others, key=lambda members: ranks[members[0]]):
        if fraction == 0 or (ranks[members[0]] >= fraction and moved):
            return
        taken = Counter(photos[i].category for i in members)
        if all(count < training[category] for category, count in taken.items()):
            training -= taken
            moved += 1
            for i in members:
                sides[i] = VAL


def _fraction(text: str) -> float:
    """A number from 0 to 1 that looks random but depends on ``text`` alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _check_training(photos: Sequence[GroupedPhoto], sides: Sequence[str]) -> None:
    trained = {photo.category for photo, side in zip(photos, sides, strict=True) if side == TRAIN}
    for category in sorted({photo.category for photo in photos} - trained):
        raise NothingToTrainOnError(category)
