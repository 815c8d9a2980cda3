"""Gray test photos, each with its ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.dataset.split_folder import category_of
from pipeline.errors import ColorpipeError
from pipeline.evaluation.metrics import MIN_SIDE
from pipeline.imaging.decode import RGB, Gray, ImageError, luma_of, open_photo


@dataclass(frozen=True)
class Pair:
    """A gray test photo and its ground truth, of one size."""

    name: str
    category: str
    gray: Gray
    truth: RGB


def read_pairs(split: Path, names: Iterable[str]) -> Iterator[Pair]:
    """Read test photos by name.

    Raises:
        ColorpipeError: a photo is missing, damaged or too small, or its ground truth has another
            size.
    """
    for name in names:
        x, y = split / "test_x" / name, split / "test_y" / name
        truth = _pixels(y)
        gray = luma_of(_pixels(x))
        if truth.size != (gray.shape[1], gray.shape[0]):
            raise ColorpipeError(f"{x} and {y} differ in size; run `colorpipe split` again.")
        if min(truth.size) < MIN_SIDE:
            raise ColorpipeError(
                f"{y} is {truth.width}x{truth.height}; photos to measure on have at least"
                f" {MIN_SIDE} px a side."
            )
        yield Pair(name, category_of(name), gray, np.asarray(truth))


def _pixels(path: Path) -> Image.Image:
    try:
        return open_photo(path).image
    except ImageError as error:
        raise ColorpipeError(
            f"{path} cannot be read: {error}; run `colorpipe split` again."
        ) from error
