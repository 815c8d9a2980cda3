"""How close one colorized picture is to its ground truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.evaluation.metric_table import Picture, find_metric
from pipeline.imaging.decode import RGB
from pipeline.imaging.orientation import orientation_of, turned_upright
from pipeline.imaging.srgb import to_srgb


@dataclass(frozen=True)
class Comparison:
    """Metrics of a colorized picture, of those in :mod:`pipeline.evaluation.metric_table`."""

    psnr: float
    """Peak signal-to-noise ratio in dB, up to 58.9; more is better."""
    ssim: float
    """Structural similarity, up to 1; more is better."""
    ciede2000: float
    """Mean color difference, 0 for equal pictures; less is better."""
    colorfulness_ratio: float | None
    """Colorfulness divided by that of the ground truth: 1 is as colorful as it should be, less is
    too pale, more too vivid. None if the ground truth is gray."""


def compare(
    colorized: Image.Image | NDArray[Any], ground_truth: Image.Image | NDArray[Any]
) -> Comparison:
    """Compare a colorized picture with the same picture as it was taken.

    Both are Pillow images of any mode, whose EXIF orientation and ICC profile are applied, or
    arrays of sRGB, uint8, of shape (height, width) or (height, width, 3). They have one size, of at
    least 11 px a side; nothing is scaled.

    Raises:
        TypeError: one is neither Pillow's nor an array, but a path, for example.
        ValueError: the sizes differ or are too small, or an array has another shape or type.
    """
    result, truth = _srgb(colorized), _srgb(ground_truth)
    if result.shape != truth.shape:
        height, width = truth.shape[:2]
        raise ValueError(
            f"The colorized picture has {result.shape[1]}x{result.shape[0]} px and the ground truth"
            f" {width}x{height} px; pictures to compare have one size."
        )
    pair = Picture(result), Picture(truth)
    values: dict[str, float | None] = {}
    for field in fields(Comparison):
        metric = find_metric(field.name)
        value = metric.value({name: score(*pair) for name, score in metric.scores.items()})
        values[metric.name] = value if math.isfinite(value) else None
    return Comparison(**values)  # type: ignore[arg-type]


def _srgb(picture: Image.Image | NDArray[Any]) -> RGB:
    if isinstance(picture, Image.Image):
        # Pillow turns a TIFF upright when it is loaded, and only then forgets its orientation.
        picture.load()
        pixels = np.asarray(to_srgb(picture, picture.info.get("icc_profile"), []))
        return turned_upright(pixels, orientation_of(picture))
    if not isinstance(picture, np.ndarray):
        raise TypeError(
            f"A picture of type {type(picture).__name__} is not taken: give an image of Pillow's,"
            " as Image.open makes it of a file, or an array."
        )
    if (
        picture.dtype != np.uint8
        or picture.ndim not in {2, 3}
        or picture.shape[2:] not in {(), (3,)}
    ):
        raise ValueError(
            f"An array of {picture.dtype} of shape {picture.shape} is not sRGB of uint8, (H, W) or"
            " (H, W, 3)."
        )
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
