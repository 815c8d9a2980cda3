"""How far a colorized photo is from the ground truth: pure functions of pixels.

Pixels are sRGB, uint8, 0 to 255, of one size; nothing here scales a photo. Every function measures
a single photo; :mod:`pipeline.evaluation.bootstrap` makes means over photos and their intervals.
"""

from __future__ import annotations

from math import pi, radians
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Float
from pipeline.imaging.decode import RGB

Lab = NDArray[np.floating[Any]]
"""CIE 1976 L*a*b* relative to D65, of shape (height, width, 3)."""

PSNR_CEILING = 10 * float(np.log10(255**2 * 12))
"""58.9 dB: the PSNR when rounding to whole numbers is the only error (variance 1/12)."""

MIN_SIDE = 11
"""The least width and height in px that SSIM's window fits in."""

LAYOUT_GRID = 4
"""Cells that :func:`layout_features` cuts each side of a photo into."""


def psnr(result: RGB, truth: RGB) -> float:
    """Return the peak signal-to-noise ratio in dB, the error taken over all pixels of R, G and B.

    At most :data:`PSNR_CEILING`, so that a photo that is met exactly leaves means finite.
    """
    error = cv2.norm(result, truth, cv2.NORM_L2SQR) / truth.size
    return PSNR_CEILING if error == 0 else min(10 * float(np.log10(255**2 / error)), PSNR_CEILING)


def ssim(result: RGB, truth: RGB) -> float:
    """Return the structural similarity, -1 to 1, averaged over R, G and B.

    Wang, Bovik, Sheikh and Simoncelli (2004), "Image quality assessment: from error visibility to
    structural similarity", section III-C: a Gaussian window of 11 px, sigma 1.5 px, K1 = 0.01,
    K2 = 0.03, population variances; the mean leaves out the 5 px along the edges where the window
    does not fit. scikit-image gives the same with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``, at several times the cost.

    Raises:
        ValueError: a side is less than :data:`MIN_SIDE`.
    """
    if min(truth.shape[:2]) < MIN_SIDE:
        raise ValueError(f"SSIM's window does not fit: a side is less than {MIN_SIDE} px.")
    # Variances are small differences of squares: around zero, float32 has the digits for them.
    middle = np.array(cv2.mean(truth)[:3], np.float32)
    x: Float = result - middle
    y: Float = truth - middle
    mean_x, mean_y = _window(x), _window(y)
    covariance = _window(x * y) - mean_x * mean_y
    variances = _window(x * x + y * y) - (mean_x * mean_x + mean_y * mean_y)
    mean_x, mean_y = mean_x + middle, mean_y + middle
    product = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = ((2 * product + c1) * (2 * covariance + c2)) / ((squares + c1) * (variances + c2))
    edge = MIN_SIDE // 2
    return float(similarity[edge:-edge, edge:-edge].mean(dtype=np.float64))


def _window(values: Float) -> Float:
    return np.asarray(cv2.GaussianBlur(values, (MIN_SIDE, MIN_SIDE), 1.5), np.float32)


def ciede2000(first: Lab, second: Lab) -> Lab:
    """Return the color difference CIEDE2000 of Lab values, (..., 3) each, as an array (...).

    kL = kC = kH = 1. The numbers in brackets are the equations of Sharma, Wu and Dalal (2005), "The
    CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
    mathematical observations". It is computed in the type of the arguments: float32 costs about a
    third of scikit-image's ``deltaE_ciede2000`` and agrees with it within 0.001.
    """
    l1, a1, b1 = (first[..., i] for i in range(3))
    l2, a2, b2 = (second[..., i] for i in range(3))
    # (2) to (7): a* stretched where both colors are near gray, then chroma and hue, 0 to 2 pi.
    g = 1.5 - 0.5 * _compressed((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = a1 * g, a2 * g
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * pi), np.arctan2(b2, a2) % (2 * pi)
    # (8) to (11): differences; the hue's is taken the shorter way round.
    turn = h2 - h1
    apart = np.abs(turn) > pi
    turn = np.where(apart, turn - np.copysign(2 * pi, turn).astype(turn.dtype), turn)
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    # (12) to (14): means; a color without chroma has no hue, and the other's is the mean.
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = (h1 + h2) / 2
    hue = np.where(apart, hue + np.where(hue < pi, pi, -pi).astype(hue.dtype), hue)
    hue = np.where(c1 * c2 == 0, h1 + h2, hue)
    # (15) to (21): the weights.
    t = (
        1
        - 0.17 * np.cos(hue - radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + radians(6))
        - 0.20 * np.cos(4 * hue - radians(63))
    )
    blue = np.exp(-np.square((hue - radians(275)) / radians(25)))
    rotation = -2 * _compressed(chroma) * np.sin(2 * radians(30) * blue)
    from_middle = np.square(lightness - 50)
    part_l = delta_l / (1 + 0.015 * from_middle / np.sqrt(20 + from_middle))
    part_c = delta_c / (1 + 0.045 * chroma)
    part_h = delta_h / (1 + 0.015 * chroma * t)
    # (22). Rounding can take the sum of nearly equal colors below zero.
    total = part_l**2 + part_c**2 + part_h**2 + rotation * part_c * part_h
    return np.asarray(np.sqrt(np.maximum(total, 0)))


def _compressed(chroma: Lab) -> Lab:
    """Return sqrt(C^7 / (C^7 + 25^7)), the fraction that (4) and (17) share."""
    ratio = np.square(chroma / 25)
    power = ratio * ratio * ratio * (chroma / 25)
    return np.asarray(np.sqrt(power / (power + 1)))


def mean_ciede2000(result: Lab, truth: Lab) -> float:
    """Return the mean of :func:`ciede2000` over the pixels of a photo."""
    return float(ciede2000(result, truth).mean(dtype=np.float64))


def colorfulness(rgb: RGB) -> float:
    """Return the colorfulness of a photo, 0 for gray.

    The measure M(3) of Hasler and Süsstrunk (2003), "Measuring colorfulness in natural images",
    section 5: with rg = R - G and yb = (R + G) / 2 - B it is the root of the sum of their
    variances plus 0.3 times the length of the vector of their means.
    """
    return _colorfulness(*_opponents(rgb))


def absolute_colorfulness(rgb: RGB) -> float:
    """Return :func:`colorfulness` computed from the absolute values of rg and yb.

    Not the published measure, about a tenth lower; the one in the code of CT2 (2022) and DDColor
    (2023), so that figures can be compared with theirs.
    """
    rg, yb = _opponents(rgb)
    return _colorfulness(np.abs(rg), np.abs(yb))


def _opponents(rgb: RGB) -> tuple[Float, Float]:
    r, g, b = (rgb[..., i].astype(np.float32) for i in range(3))
    return r - g, (r + g) * np.float32(0.5) - b


def _colorfulness(rg: Float, yb: Float) -> float:
    spread = float(np.sqrt(rg.var(dtype=np.float64) + yb.var(dtype=np.float64)))
    return spread + 0.3 * float(np.hypot(rg.mean(dtype=np.float64), yb.mean(dtype=np.float64)))


def layout_features(lab: Lab) -> NDArray[np.float64]:
    """Describe where a photo has which colors: 96 numbers, in units of CIE Lab.

    The photo is cut into 4 x 4 cells as equal as its size allows (cell i begins at row
    ``i * height // 4``). Every cell, row by row, gives the means of L*, a* and b* and then their
    population standard deviations.

    Raises:
        ValueError: a side is less than 4 px.
    """
    height, width = lab.shape[:2]
    if min(height, width) < LAYOUT_GRID:
        raise ValueError(f"A photo of {width}x{height} px has no {LAYOUT_GRID}x{LAYOUT_GRID} grid.")
    rows = [i * height // LAYOUT_GRID for i in range(LAYOUT_GRID + 1)]
    columns = [i * width // LAYOUT_GRID for i in range(LAYOUT_GRID + 1)]
    features: list[cv2.typing.MatLike] = []
    for i in range(LAYOUT_GRID):
        for j in range(LAYOUT_GRID):
            cell = lab[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            features += cv2.meanStdDev(cell)
    return np.concatenate(features).ravel().astype(np.float64)
