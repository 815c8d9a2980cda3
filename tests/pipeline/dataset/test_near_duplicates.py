import itertools
import random
import tracemalloc

import pytest

from pipeline.dataset.hashing import distance
from pipeline.dataset.near_duplicates import (
    Groups,
    HashedPhoto,
    find_duplicates,
    group_alike,
    photos_like,
)


def changed(hash_: int, bits: int, draw: random.Random) -> int:
    return hash_ ^ sum(1 << bit for bit in draw.sample(range(64), bits))


def test_of_thousands_of_copies_one_is_kept() -> None:
    # Placeholders and logos come in such numbers.
    count = 20_000
    order = list(range(count))[::-1]
    found = find_duplicates([7] * count, [n % 2 for n in range(count)], order, most=6)
    assert found.pop(count - 2) == (count - 1, 0)
    assert len(found) == count - 2
    assert {kept for kept, _ in found.values()} == {count - 1}
    assert [found[n][1] for n in (0, 1)] == [0, None]


@pytest.mark.parametrize("seed", range(6))
def test_duplicates_are_found_as_defined(seed: int) -> None:
    draw = random.Random(seed)
    hashes, pixels = list[int](), list[int]()
    for n in range(700):
        near = changed(draw.choice(hashes), draw.randrange(6), draw) if n % 4 else None
        hashes.append(draw.getrandbits(64) if near is None else near)
        pixels.append(hashes[-1] ^ draw.randrange(2))
    order = draw.sample(range(700), 700)
    for most in (0, 4, 6, 13):
        kept = list[int]()
        expected: dict[int, tuple[int, int | None]] = {}
        for i in order:
            distances = [distance(hashes[i], hashes[j]) for j in kept]
            if not kept or min(distances) > most:
                kept.append(i)
                continue
            j = kept[distances.index(min(distances))]
            expected[i] = (j, None if pixels[i] == pixels[j] else min(distances))
        assert find_duplicates(hashes, pixels, order, most) == expected


def test_near_duplicates_in_great_number_take_little_memory() -> None:
    draw = random.Random(0)
    film = draw.getrandbits(64)
    frames = [changed(film, 2, draw) for _ in range(4000)]
    tracemalloc.start()
    found = find_duplicates(frames, list(range(4000)), list(range(4000)), most=6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 3999
    assert peak < 10_000_000


def test_of_a_chain_of_near_duplicates_both_ends_are_kept() -> None:
    a, b, c = 0b0, 0b1111, 0b11111111
    assert find_duplicates([a, b, c], [1, 2, 3], [0, 1, 2], most=4) == {1: (0, 4)}
    assert find_duplicates([a, b, c], [1, 2, 3], [1, 0, 2], most=4) == {0: (1, 4), 2: (1, 4)}


def test_exact_duplicates_are_distinguished_from_near_ones() -> None:
    hashes, pixels = [5, 5, 5], [8, 9, 8]
    assert find_duplicates(hashes, pixels, [0, 1, 2], most=None) == {2: (0, None)}
    assert find_duplicates(hashes, pixels, [0, 1, 2], most=0) == {1: (0, 0), 2: (0, None)}


def test_groups_join_what_is_linked() -> None:
    groups = Groups()
    groups.join(1, 2)
    groups.join(3, 4)
    assert groups.of(1) == groups.of(2) != groups.of(3)
    groups.join(2, 4)
    assert len({groups.of(n) for n in (1, 2, 3, 4)}) == 1
    assert groups.of(5) == 5


def hashed_photos(count: int) -> list[HashedPhoto]:
    """Photos of which some are near others, as they are or mirrored."""
    draw = random.Random(count)
    photos: list[HashedPhoto] = []
    for n in range(count):
        hashes = [draw.getrandbits(64), draw.getrandbits(64)]
        if n % 3:
            like, bits = draw.choice(photos), draw.sample(range(64), draw.randrange(9))
            hashes = [hash_ ^ sum(1 << bit for bit in bits) for hash_ in (like.hash, like.mirrored)]
            hashes = hashes if n % 2 else hashes[::-1]
        photos.append(HashedPhoto("sea", str(n), *hashes))
    return photos


@pytest.mark.parametrize(("count", "most"), [(60, 6), (600, 0), (600, 6), (600, 21)])
def test_photos_are_grouped_as_they_are_or_mirrored(count: int, most: int) -> None:
    photos = hashed_photos(count)
    neighbors = {i: {i} for i in range(count)}
    for (i, one), (j, other) in itertools.combinations(enumerate(photos), 2):
        alike = min(other.distance_to(one.hash), distance(one.mirrored, other.hash)) <= most
        if alike or one.mirrored == other.mirrored:
            neighbors[i].add(j)
            neighbors[j].add(i)
    groups = group_alike(photos, most)
    for i in range(0, count, 50):
        expected, edge = {i}, {i}
        while edge:
            edge = set().union(*(neighbors[j] for j in edge)) - expected
            expected |= edge
        assert {j for j in range(count) if groups.of(j) == groups.of(i)} == expected


def test_alike_photos_are_grouped_far_apart_in_long_lists() -> None:
    draw = random.Random(1)
    photos = [HashedPhoto("", "", draw.getrandbits(64), draw.getrandbits(64)) for _ in range(9000)]
    copies = {i: 9000 + i // 500 for i in range(0, 9000, 500)}
    photos += [HashedPhoto("", "", changed(photos[i].hash, 9, draw), i) for i in copies]
    groups = group_alike(photos, 9)
    for i in range(9000):
        assert [j for j in copies.values() if groups.of(j) == groups.of(i)] == [
            copy for of, copy in copies.items() if of == i
        ]


def test_thousands_of_frames_of_one_film_are_grouped_in_little_memory() -> None:
    draw = random.Random(0)
    film, mirrored = draw.getrandbits(64), draw.getrandbits(64)
    frames = [
        HashedPhoto("", str(n), changed(film, 4, draw), changed(mirrored, 4, draw))
        for n in range(4000)
    ]
    tracemalloc.start()
    groups = group_alike(frames, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({groups.of(i) for i in range(4000)}) == 1
    assert peak < 30_000_000


def test_no_photos_have_no_groups() -> None:
    assert group_alike([], 10).of(0) == 0


def test_photos_like_a_hash_are_found_as_they_are_or_mirrored() -> None:
    photos = hashed_photos(200)
    hashes = [photo.hash ^ 0b101 for photo in photos[::10]]
    assert photos_like(hashes, photos, 6) == {
        hash_: {i for i, photo in enumerate(photos) if photo.distance_to(hash_) <= 6}
        for hash_ in hashes
    }
    assert photos_like([7], [], 6) == {7: set()}
