from __future__ import annotations

import functools
import io
import re
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.base import FoundPhoto


@functools.cache
def photos() -> list[FoundPhoto]:
    items = list(find_photos(ScrapeParams()))
    assert all(isinstance(item, FoundPhoto) for item in items)
    return [item for item in items if isinstance(item, FoundPhoto)]


def test_every_category_has_enough_for_train_and_test() -> None:
    counts = Counter(photo.category for photo in photos())
    assert set(counts) == {"portraits", "still-life", "machines", "space"}
    assert min(counts.values()) >= 30


def test_tiles_are_color_photos_that_share_no_pixel() -> None:
    regions: dict[str, NDArray[np.uint8]] = defaultdict(lambda: np.zeros((2000, 2000), np.uint8))
    for photo in photos():
        match = re.fullmatch(r"(.+)#xywh=(\d+),(\d+),(\d+),(\d+)", photo.url)
        if match is None:
            continue
        x, y, width, height = (int(part) for part in match.groups()[1:])
        with Image.open(io.BytesIO(photo.data)) as image:
            assert (image.mode, image.format, image.size) == ("RGB", "PNG", (width, height))
            assert "icc_profile" not in image.info
        regions[match[1]][y : y + height, x : x + width] += 1
    assert len(regions) == 6
    assert {int(counts.max()) for counts in regions.values()} == {1}


def test_odd_files_are_taken_as_they_are() -> None:
    modes = set()
    for photo in photos():
        if "#" not in photo.url:
            with Image.open(io.BytesIO(photo.data)) as image:
                modes.add((image.mode, getattr(image, "n_frames", 1) > 1))
    assert modes >= {("L", False), ("RGBA", False), ("P", True), ("L", True)}


def test_the_same_bytes_come_every_time() -> None:
    assert photos() == list(find_photos(ScrapeParams()))


def test_every_photo_has_a_license() -> None:
    assert all(photo.license for photo in photos())
