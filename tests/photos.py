"""Real photos for the tests, and small generated ones."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared/photos"
"""A folder of photos beside the repository; without it, tests use scikit-image's photos."""


def real_photos(n: int) -> list[Path]:
    """Return ``n`` color photos: files of :data:`SHARED`, or tiles of scikit-image's photos."""
    shared = sorted((SHARED / "nature").glob("*.jpg")) + sorted((SHARED / "objects").glob("*.jpg"))
    paths = [path for path in shared[: 2 * n] if _is_colorful(path)]
    return (paths if len(paths) >= n else _tiles())[:n]


@functools.cache
def _is_colorful(path: Path) -> bool:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((32, 32))).astype(int)
    return bool(np.abs(pixels[..., 0] - pixels[..., 2]).mean() > 20)


@functools.cache
def _tiles() -> list[Path]:
    from skimage import data

    folder = Path(tempfile.mkdtemp(prefix="colorpipe-photos-"))
    paths = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        photo = getattr(data, name)()
        for top in range(0, photo.shape[0] - 127, 64):
            for left in range(0, photo.shape[1] - 127, 64):
                path = folder / f"{name}{top:03}{left:03}.jpg"
                Image.fromarray(photo[top : top + 128, left : left + 128]).save(path, quality=95)
                paths.append(path)
    # Neighboring tiles overlap, but not every fifth one.
    colorful = [path for path in paths if _is_colorful(path)]
    return colorful[::5] + colorful[2::5]


def pixels_of(path: Path) -> NDArray[np.uint8]:
    """The RGB pixels of an image file, as Pillow alone reads them."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def scene(seed: int, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A random picture (H, W, 3) with the colors, detail and noise of a photo."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(20, 236, (6, 8, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + draw.normal(0, 8, smooth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
