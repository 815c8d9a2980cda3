import itertools

import cv2
import numpy as np
from photos import pixels_of, real_photos, scene
from PIL import Image, ImageEnhance

from pipeline.dataset.hashing import both_hashes, checksum, distance, perceptual_hash
from pipeline.dataset.quality import gray_of, working_copy
from pipeline.params import CleanParams

NEAR = CleanParams().duplicate_distance


def hash_of(image: Image.Image) -> int:
    return perceptual_hash(gray_of(working_copy(np.asarray(image.convert("RGB")))))


def test_the_hash_takes_the_lowest_cosine_frequencies() -> None:
    # What is 32x32 already is not averaged any more.
    gray = gray_of(scene(0, 32, 32))
    low = cv2.dct(gray.astype(np.float32))[:8, :8].ravel()
    bits = "".join(str(int(value > np.median(low))) for value in low)
    assert perceptual_hash(gray) == int(bits, 2)


def test_the_hash_of_the_mirror_image_needs_no_mirror_image() -> None:
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


def test_a_change_in_one_bit_changes_the_checksum() -> None:
    pixels = scene(0, 40, 60)
    other = pixels.copy()
    other[-1, -1, 2] ^= 1
    assert checksum(pixels) == checksum(np.asfortranarray(pixels)) != checksum(other)
