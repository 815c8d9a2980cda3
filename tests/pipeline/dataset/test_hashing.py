import itertools
import random
import tracemalloc

import cv2
import imagehash
import numpy as np
import pytest
from photos import pixels_of, real_photos, scene
from PIL import Image, ImageEnhance

from pipeline.dataset.hashing import (
    Groups,
    both_hashes,
    distance,
    duplicates_of,
    near_across,
    near_pairs,
    perceptual_hash,
)
from pipeline.dataset.quality import gray_of, working_copy
from pipeline.params import CleanParams

NEAR = CleanParams().duplicate_distance


def hash_of(image: Image.Image) -> int:
    return perceptual_hash(gray_of(working_copy(np.asarray(image.convert("RGB")))))


def test_the_hash_is_imagehash_s_but_for_the_resampling() -> None:
    for path in real_photos(12):
        image = Image.fromarray(pixels_of(path))
        theirs = int(str(imagehash.phash(image)), 16)
        assert distance(hash_of(image), theirs) <= 8


def test_the_hash_takes_the_lowest_frequencies_of_the_cosine_transform() -> None:
    # What is 32x32 already is not averaged any more.
    gray = gray_of(scene(0, 32, 32))
    low = cv2.dct(gray.astype(np.float32))[:8, :8].ravel()
    bits = "".join(str(int(value > np.median(low))) for value in low)
    assert perceptual_hash(gray) == int(bits, 2)


def test_the_hash_of_the_mirror_image_needs_none() -> None:
    for seed in range(20):
        gray = gray_of(scene(seed, 64, 64))
        straight, mirrored = both_hashes(gray)
        assert straight == perceptual_hash(gray)
        assert distance(mirrored, perceptual_hash(np.ascontiguousarray(gray[:, ::-1]))) <= 2
        assert distance(straight, mirrored) > 10


def test_edited_copies_are_near_and_other_photos_far() -> None:
    images = [Image.fromarray(pixels_of(path)) for path in real_photos(12)]
    for image in images:
        width, height = image.size
        copies = [
            image.resize((width // 2, height // 2), Image.Resampling.LANCZOS),
            ImageEnhance.Brightness(image).enhance(1.15),
            ImageEnhance.Color(image).enhance(0.5),
            Image.fromarray(cv2.GaussianBlur(np.asarray(image), (0, 0), 1)),
        ]
        assert all(distance(hash_of(image), hash_of(copy)) <= NEAR for copy in copies)
    hashes = [hash_of(image) for image in images]
    assert min(distance(a, b) for a, b in itertools.combinations(hashes, 2)) > NEAR


@pytest.mark.parametrize("most", [0, 1, 4, 6, 10, 21])
def test_no_near_pair_is_missed_and_none_comes_twice(most: int) -> None:
    draw = random.Random(most)
    hashes = [draw.getrandbits(64) for _ in range(150)]
    for _ in range(150):
        mask = sum(1 << bit for bit in draw.sample(range(64), draw.randrange(most + 3)))
        hashes.append(draw.choice(hashes) ^ mask)
    expected = [
        (i, j)
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if distance(hashes[i], hashes[j]) <= most
    ]
    assert sorted(near_pairs(hashes, most)) == expected


@pytest.mark.parametrize(("most", "count"), [(0, 50), (6, 400), (10, 1500), (21, 200)])
def test_near_hashes_of_two_lists_are_found_once(most: int, count: int) -> None:
    draw = random.Random(most)
    ones = [draw.getrandbits(64) for _ in range(count)]
    others = [draw.getrandbits(64) for _ in range(count // 2)]
    for _ in range(100):
        mask = sum(1 << bit for bit in draw.sample(range(64), draw.randrange(most + 3)))
        others.append(draw.choice(ones) ^ mask)
    expected = [
        (i, j)
        for i, j in itertools.product(range(len(ones)), range(len(others)))
        if distance(ones[i], others[j]) <= most
    ]
    assert sorted(near_across(ones, others, most)) == expected


def test_no_hashes_have_no_pairs() -> None:
    assert list(near_across([], [7], 4)) == list(near_across([7], [], 4)) == []
    assert list(near_pairs([], 4)) == []
    assert list(near_pairs([7], 4)) == []


def test_many_equal_hashes_are_compared_in_parts() -> None:
    assert sum(1 for _ in near_pairs([3] * 700, 2)) == 700 * 699 // 2


def test_a_large_collection_is_searched_without_comparing_all_with_all() -> None:
    draw = random.Random(1)
    hashes = [draw.getrandbits(64) for _ in range(30_000)]
    copies = {}
    for i in range(0, 2000, 100):
        copies[i] = len(hashes)
        hashes.append(hashes[i] ^ sum(1 << bit for bit in draw.sample(range(64), 9)))
    found = set(near_pairs(hashes, 9))
    assert set(copies.items()) <= found
    assert all(distance(hashes[i], hashes[j]) <= 9 for i, j in found)


def test_of_thousands_of_copies_one_stays() -> None:
    # Placeholders and logos come in such numbers; all their pairs would fill the memory.
    count = 20_000
    ranks = list(range(count, 0, -1))
    found = duplicates_of([7] * count, [n % 2 for n in range(count)], ranks, most=6)
    assert found.pop(count - 2) == (count - 1, 0)
    assert len(found) == count - 2
    assert {stays for stays, _ in found.values()} == {count - 1}
    assert [found[n][1] for n in (0, 1)] == [0, None]


@pytest.mark.parametrize("seed", range(6))
def test_what_gives_way_is_what_the_definition_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dataset.hashing._BLOCK", 50)
    draw = random.Random(seed)
    hashes, digests = list[int](), list[int]()
    for n in range(700):
        mask = sum(1 << bit for bit in draw.sample(range(64), draw.randrange(6)))
        near = draw.choice(hashes) ^ mask if n % 4 else draw.getrandbits(64)
        hashes.append(near)
        digests.append(near ^ draw.randrange(2))
    ranks = draw.sample(range(5000), len(hashes))
    for most in (0, 4, 6, 13):
        stay = list[int]()
        expected: dict[int, tuple[int, int | None]] = {}
        for i in sorted(range(len(hashes)), key=lambda position: ranks[position]):
            near_ones = [j for j in stay if distance(hashes[i], hashes[j]) <= most]
            if not near_ones:
                stay.append(i)
                continue
            j = min(near_ones, key=lambda j: (distance(hashes[i], hashes[j]), ranks[j]))
            same = digests[i] == digests[j]
            expected[i] = (j, None if same else distance(hashes[i], hashes[j]))
        assert duplicates_of(hashes, digests, ranks, most) == expected


def test_near_duplicates_in_great_number_take_little_memory() -> None:
    draw = random.Random(0)
    film = draw.getrandbits(64)
    frames = [film ^ (1 << draw.randrange(64)) ^ (1 << draw.randrange(64)) for _ in range(4000)]
    tracemalloc.start()
    found = duplicates_of(frames, list(range(4000)), list(range(4000)), most=6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 3999
    assert peak < 10_000_000


def test_the_first_by_rank_stays_and_chains_do_not_swallow_the_rest() -> None:
    a, b, c = 0b0, 0b1111, 0b11111111
    found = duplicates_of([a, b, c], digests=[1, 2, 3], ranks=[0, 1, 2], most=4)
    assert found == {1: (0, 4)}
    found = duplicates_of([a, b, c], digests=[1, 2, 3], ranks=[1, 0, 2], most=4)
    assert found == {0: (1, 4), 2: (1, 4)}


def test_exact_duplicates_are_told_from_near_ones() -> None:
    hashes, digests = [5, 5, 5], [8, 9, 8]
    assert duplicates_of(hashes, digests, [0, 1, 2], most=None) == {2: (0, None)}
    assert duplicates_of(hashes, digests, [0, 1, 2], most=0) == {1: (0, 0), 2: (0, None)}


def test_groups_join_what_is_linked() -> None:
    groups = Groups()
    groups.join(1, 2)
    groups.join(3, 4)
    assert groups.of(1) == groups.of(2) != groups.of(3)
    groups.join(2, 4)
    assert len({groups.of(n) for n in (1, 2, 3, 4)}) == 1
    assert groups.of(5) == 5
