"""Small splits of real photos for the tests of later stages, and folders of photos to split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from photos import scene
from PIL import Image

from pipeline.dataset.tiles import encode_tile

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def make_split(folder: Path, train: int = 8, val: int = 2, test: int = 2, size: int = 64) -> Path:
    """Cut squares from scikit-image's photos into ``folder/{train,val,test}_{x,y}``."""
    parts = ["train"] * train + ["val"] * val + ["test"] * test
    for index, part in enumerate(parts):
        subject = PHOTOS[index % len(PHOTOS)]
        photo = Image.fromarray(getattr(skimage.data, subject)())
        place = index // len(PHOTOS)
        left, top = 64 * (place % 4), 64 * (place // 4)
        square = photo.crop((left, top, left + 128, top + 128)).resize((size, size))
        for side, image in (("x", square.convert("L")), ("y", square)):
            target = folder / f"{part}_{side}"
            target.mkdir(parents=True, exist_ok=True)
            image.save(target / f"{subject}-{index:03}.png")
    return folder


def put(folder: Path, name: str, pixels: np.ndarray) -> None:
    """Write a tile as resize does."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_tile(pixels))


def fill(resized: Path, category: str, seeds: range) -> None:
    """Write a generated photo for each seed, named after the seed."""
    for seed in seeds:
        put(resized, f"{category}/{seed:04}.png", scene(seed, 48, 48))
