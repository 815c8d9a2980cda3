"""Small splits of real photos, for the tests of what comes behind the split."""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image

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
