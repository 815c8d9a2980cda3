"""Is a photo fit to learn colors from? A number for each question, measured from its pixels.

All are measured on a small copy, about the size that networks are trained at, so that a threshold
means the same for a thumbnail and for 12 megapixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import rgb_to_lab
from pipeline.imaging.decode import RGB, Gray
from pipeline.imaging.processors import same_on_every_processor

WORKING_SIDE = 256
"""The longer side that a photo is shrunk to before it is measured; a smaller one stays as it is."""

CELLS = 32
"""Colors are averaged over square cells, at least this many along the longer side, which removes
noise and the blocks of JPEG's subsampled chroma."""

_LEVELS = 32
"""Bins of L* in :func:`chroma_spread`."""
_CLIPPED = 3
"""Levels at either end that count as black or white in :func:`flatness`."""
_NEIGHBORS = np.ones((3, 3), np.uint8)
_PEAK = np.ones((1, 7), np.uint8)


@dataclass(frozen=True)
class Measures:
    """The measured values of one photo."""

    chroma: float
    """Mean CIE chroma, 0 (gray) to about 130."""
    chroma_spread: float
    """See :func:`chroma_spread`."""
    contrast: float
    """Difference of the 98th and the 2nd percentile of luma, 0 to 255."""
    highlight: float
    """98th percentile of luma, 0 to 255."""
    shadow: float
    """2nd percentile of luma, 0 to 255."""
    sharpness: float
    """See :func:`sharpness`."""
    flatness: float
    """See :func:`flatness`."""


def working_copy(rgb: RGB) -> RGB:
    """Shrink ``rgb`` (H, W, 3) to :data:`WORKING_SIDE`, if it is larger.

    Whole pixels are averaged down to less than twice that side, and the rest is bilinear: close to
    averaging exact areas, and several times as fast.
    """
    whole = shrink_whole(rgb, WORKING_SIDE)
    height, width = whole.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    if scale >= 1:
        return whole
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def shrink_whole(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Average squares of k x k pixels, with the largest k that leaves ``side`` on the longer side.

    Pixels left over at the right and lower edge are cut off.
    """
    same_on_every_processor()
    height, width = pixels.shape[:2]
    k = min(max(height, width) // side, height, width)
    if k <= 1:
        return pixels
    rows, columns = height // k, width // k
    cut = pixels[: rows * k, : columns * k]
    # Halving is what OpenCV does fastest.
    while k % 2 == 0 and k > 2:
        k //= 2
        cut = cv2.resize(cut, (columns * k, rows * k), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    return cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )


def gray_of(small: RGB) -> Gray:
    """Return the Rec. 601 luma of ``small`` within one level; fast, and for measuring only."""
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def measure(small: RGB, gray: Gray) -> Measures:
    """Measure a photo by its :func:`working_copy` (H, W, 3) and the luma of that (H, W)."""
    lab = rgb_to_lab(shrink_whole(small, CELLS))
    chroma = cv2.mean(cv2.magnitude(lab[..., 1], lab[..., 2]))[0]
    levels = histogram(gray)
    shadow, highlight = percentiles(levels, (0.02, 0.98))
    return Measures(
        chroma=float(chroma),
        chroma_spread=chroma_spread(lab),
        contrast=float(highlight - shadow),
        highlight=float(highlight),
        shadow=float(shadow),
        sharpness=sharpness(gray),
        flatness=flatness(gray, levels),
    )


def percentiles(levels: NDArray[np.float32], fractions: Sequence[float]) -> tuple[int, ...]:
    """Return the lowest levels at or below which ``fractions`` of a histogram (256,) lie."""
    # In float32, which counts to 2^24: a working copy has at most 2^16 pixels.
    below = levels.cumsum()
    return tuple(below.searchsorted(np.multiply(fractions, float(below[-1]))).tolist())


def chroma_spread(lab: NDArray[np.float32]) -> float:
    """Return how much color there is that lightness does not explain, in units of CIE a*, b*.

    The standard deviation of (a*, b*) about their mean among pixels of the same L*. A gray photo
    has 0, and so has one in sepia, tinted or toned in two colors, whatever its saturation: there
    color is a function of lightness, and nothing can be learned from it.

    Args:
        lab: CIE Lab, (H, W, 3).
    """
    # Black may lie a rounding error below zero; the cast makes it zero.
    lightness, *colors = lab.reshape(-1, 3).T.astype(np.float64)
    level = np.minimum(lightness * (_LEVELS / 100), _LEVELS - 1).astype(np.intp)
    count = np.maximum(np.bincount(level, minlength=_LEVELS), 1)
    unexplained = 0.0
    for color in colors:
        total = np.bincount(level, weights=color, minlength=_LEVELS)
        unexplained += float(color @ color - total @ (total / count))
    return math.sqrt(max(0.0, unexplained / len(level)))


def sharpness(gray: Gray) -> float:
    """Return the share of the photo's fine detail that another blur would take away, 0 to 1.

    The complement of the blur measure of Crete, Dolmiere, Ladret and Nicolas, "The blur effect:
    perception and estimation with a new no-reference perceptual blur metric" (SPIE 6492, 2007):
    blurring shrinks the differences between neighboring pixels a lot in a sharp photo and little
    in one that is blurred already. It does not depend on contrast. The direction in which the photo
    is blurred most counts, because motion blurs only one.
    """
    if min(gray.shape) < 2:
        return 0.0
    wide = cv2.copyMakeBorder(gray, 4, 4, 4, 4, cv2.BORDER_REFLECT_101)
    inside = np.s_[4:-4]
    kept = 0.0
    for before, after in (
        (cv2.absdiff(gray[:, 1:], gray[:, :-1]), cv2.absdiff(wide[inside, 9:], wide[inside, :-9])),
        (cv2.absdiff(gray[1:], gray[:-1]), cv2.absdiff(wide[9:, inside], wide[:-9, inside])),
    ):
        # The blur is a mean of nine pixels in a row. The sums around two neighbors differ by the
        # pixel before the one and the pixel behind the other, so that no sum has to be computed.
        total = 9 * cv2.norm(before, cv2.NORM_L1)
        # What the blur leaves counts up to what was there. It is at most 255, so nine times what
        # was there may saturate at 255 too.
        left = cv2.norm(np.minimum(cv2.convertScaleAbs(before, alpha=9), after), cv2.NORM_L1)
        kept = max(kept, left / total if total > 0 else 1.0)
    return 1 - kept


def flatness(gray: Gray, levels: NDArray[np.float32] | None = None) -> float:
    """Return how much the photo looks drawn, 0 to 1: even areas, each of a level of its own.

    The geometric mean of two shares of the pixels: those that differ by at most one level from all
    eight neighbors, and those in peaks of the histogram narrower than seven levels. Drawings, clip
    art and screenshots have both, even as JPEG; a clear sky has only the first, because its levels
    run into each other. White and black pixels do not count: photos are clipped there, and product
    photos have a white background.

    Args:
        gray: luma, (H, W).
        levels: its histogram, if that is known already.
    """
    levels = histogram(gray) if levels is None else levels
    inside = np.s_[_CLIPPED : 256 - _CLIPPED]
    row = np.zeros((1, 256), np.float32)
    row[0, inside] = levels[inside]
    count = cv2.norm(row, cv2.NORM_L1)
    if count == 0:
        return 0.0
    flat = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, _NEIGHBORS) <= 1
    # Unsigned: what is below the lower end comes out above the upper one.
    flat &= gray - np.uint8(_CLIPPED) <= 255 - 2 * _CLIPPED
    smooth = cv2.blur(row, (3, 1), borderType=cv2.BORDER_CONSTANT)
    # A morphological opening takes away what is narrower than its kernel.
    broad = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, _PEAK)
    peaks = cv2.norm(smooth, broad, cv2.NORM_L1)
    return math.sqrt(np.count_nonzero(flat) * peaks) / count


def histogram(gray: Gray) -> NDArray[np.float32]:
    """Count the pixels of each level, (256,)."""
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256])
    return counts.ravel().astype(np.float32, copy=False)
