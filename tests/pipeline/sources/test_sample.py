from __future__ import annotations

import functools
import io
import re
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.params import ScrapeParams
from pipeline.sources import Offer, open_source


@functools.cache
def offers() -> list[Offer]:
    found = list(open_source(ScrapeParams()))
    assert all(isinstance(offer, Offer) for offer in found)
    return [offer for offer in found if isinstance(offer, Offer)]


def test_every_category_has_enough_for_train_and_test() -> None:
    counts = Counter(offer.category for offer in offers())
    assert set(counts) == {"portraits", "still-life", "machines", "space"}
    assert min(counts.values()) >= 30


def test_tiles_are_color_photos_that_share_no_pixel() -> None:
    regions: dict[str, NDArray[np.uint8]] = defaultdict(lambda: np.zeros((2000, 2000), np.uint8))
    for offer in offers():
        match = re.fullmatch(r"(.+)#xywh=(\d+),(\d+),(\d+),(\d+)", offer.url)
        if match is None:
            continue
        x, y, width, height = (int(part) for part in match.groups()[1:])
        with Image.open(io.BytesIO(offer.data)) as image:
            assert (image.mode, image.format, image.size) == ("RGB", "PNG", (width, height))
            assert "icc_profile" not in image.info
        regions[match[1]][y : y + height, x : x + width] += 1
    assert len(regions) == 6
    assert {int(counts.max()) for counts in regions.values()} == {1}


def test_odd_files_come_along_as_they_are() -> None:
    modes = set()
    for offer in offers():
        if "#" not in offer.url:
            with Image.open(io.BytesIO(offer.data)) as image:
                modes.add((image.mode, getattr(image, "n_frames", 1) > 1))
    assert modes >= {("L", False), ("RGBA", False), ("P", True), ("L", True)}


def test_the_same_bytes_come_every_time() -> None:
    assert offers() == list(open_source(ScrapeParams()))


def test_every_photo_tells_its_license() -> None:
    assert all(offer.license for offer in offers())
