import itertools
import random

import pytest

from pipeline.dataset.hashing import distance
from pipeline.dataset.near_duplicates import Look, link_alike


@pytest.mark.parametrize("count", [60, 1500])
def test_photos_are_linked_to_what_is_near_as_it_is_or_mirrored(count: int) -> None:
    draw = random.Random(count)
    photos: list[Look] = []
    for n in range(count):
        look = Look("sea", str(n), draw.getrandbits(64), draw.getrandbits(64))
        if n % 3:
            like, bits = draw.choice(photos), draw.sample(range(64), draw.randrange(9))
            hashes = [hash_ ^ sum(1 << bit for bit in bits) for hash_ in (like.hash, like.mirrored)]
            look = Look("sea", str(n), *(hashes if n % 2 else reversed(hashes)))
        photos.append(look)
    known = [draw.choice(photos).hash ^ 0b101 for _ in range(20)]
    groups, alike = link_alike(photos, known, 6)
    for hash_ in known:
        assert alike[hash_] == {i for i, photo in enumerate(photos) if photo.apart(hash_) <= 6}
    neighbors = {i: {i} for i in range(count)}
    for (i, one), (j, other) in itertools.combinations(enumerate(photos), 2):
        if min(other.apart(one.hash), distance(one.mirrored, other.hash)) <= 6:
            neighbors[i].add(j)
            neighbors[j].add(i)
    for i in range(0, count, 50):
        found, edge = {i}, {i}
        while edge:
            edge = set().union(*(neighbors[j] for j in edge)) - found
            found |= edge
        assert {j for j in range(count) if groups.of(j) == groups.of(i)} == found
