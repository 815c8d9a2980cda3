"""Color from the network's size up to the photo's, along the photo's edges.

Interpolated alone, color bleeds over an edge by a pixel of the network, which is ten or twenty of
the photo. But the photo's gray is known at full size, and around each of the network's pixels it is
known how color follows gray. So color is interpolated, and what interpolated gray lacks of the
photo's gray is added to it, times that slope.

The slopes are the guided filter's (He, Sun and Tang 2010, "Guided Image Filtering", equations 5 and
6), found at the small size as in He and Sun 2015, "Fast Guided Filter", arXiv:1505.00996. The
filter itself also averages color over its windows, and loses more by it than its edges win:
`benchmarks/upsampling.py` measures both.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Float, Samples

Method = Literal["guided", "cubic"]

RADIUS = 1
"""Half the window of the slopes, in pixels of the network's size."""
EPSILON = 2000.0
"""Variance of gray, in levels of 255 squared, at which a slope is halved: 45 levels up or down.

Under it gray is texture and grain, which color does not follow.
"""

_SHARPNESS = -0.75
"""The free parameter of cubic convolution (Keys 1981), as in OpenCV's resize."""

_ONE_THREAD = 262_144
"""Multiplications up to which OpenBLAS stays in its caller's thread.

Photos are worked on in parallel already: waking up helpers for a tenth of a millisecond's work
costs a hundred times that on a busy machine.
"""

_BAND_PIXELS = 30_000
"""As floats just under 128 KiB, from which on glibc maps memory anew for every array.

The kernel then clears each page, which takes five times as long as the arithmetic.
"""


class Upsampler:
    """Color differences at a small size, to be had in bands of rows at the photo's size.

    Bands keep memory bounded whatever the photo's size, and keep it in the processor's cache.

    Args:
        gray: (h, w), what the photo's gray is at the small size, 0 to 255.
        differences: (h, w, 2), R - Y and B - Y, on the same scale.
        shape: height and width of the photo, both at least 1.
        method: ``guided``, or ``cubic`` for interpolation alone.
        full_scale: the photo's white, 255 or 65535; the bands come on this scale.
    """

    def __init__(
        self,
        gray: Samples,
        differences: Float,
        shape: tuple[int, int],
        method: Method = "guided",
        full_scale: int = 255,
    ) -> None:
        unit = np.float32(full_scale / 255)
        small = gray.astype(np.float32)
        planes = [differences[..., 0] * unit, differences[..., 1] * unit]
        if method == "guided":
            for channel in (0, 1):
                slope = color_slopes(small, differences[..., channel])
                planes[channel] -= slope * small * unit
                planes.append(slope)
        height, width = shape
        self._planes = [
            np.asarray(cv2.resize(plane, (width, len(plane)), interpolation=cv2.INTER_CUBIC))
            for plane in planes
        ]
        self._taps, self._weights = _cubic_rows(height, gray.shape[0])

    def band(self, top: int, gray: Samples) -> tuple[Float, Float]:
        """Return R - Y and B - Y of the rows from ``top`` on.

        Args:
            top: the first row.
            gray: (n, W), the photo's gray in those rows.

        Returns:
            Two arrays (n, W), not yet held inside the gamut.
        """
        taps, weights = self._taps[top:], self._weights[top:]
        rows = gray.shape[0]
        first, last = int(taps[:rows].min()), int(taps[:rows].max()) + 1
        matrix = np.zeros((rows, last - first), np.float32)
        for tap in range(taps.shape[1]):
            # At the borders several taps meet in one source row: their weights add up.
            matrix[np.arange(rows), taps[:rows, tap] - first] += weights[:rows, tap]
        red, blue, *slopes = (_product(matrix, plane[first:last]) for plane in self._planes)
        if slopes:
            y = gray.astype(np.float32)
            red += slopes[0] * y
            blue += slopes[1] * y
        return red, blue


def band_rows(width: int) -> int:
    """Return how many rows of ``width`` pixels are best worked on at a time."""
    return min(max(_BAND_PIXELS // width, 1), 64)


def color_slopes(gray: Float, difference: Float) -> Float:
    """Return by how much ``difference`` (h, w) follows ``gray`` (h, w) around every pixel.

    The slope of the least squares fit in a window of 2 :data:`RADIUS` + 1 pixels, with
    :data:`EPSILON` against steep slopes where gray hardly varies; then the mean of all windows that
    a pixel lies in.

    Returns:
        (h, w), color per gray.
    """
    side = (2 * RADIUS + 1, 2 * RADIUS + 1)

    def mean(values: NDArray[np.float32]) -> Float:
        return np.asarray(cv2.blur(values, side, borderType=cv2.BORDER_REFLECT), np.float32)

    mean_gray = mean(gray)
    covariance = mean(gray * difference) - mean_gray * mean(difference)
    variance = mean(gray * gray) - mean_gray * mean_gray
    return mean(covariance / (np.maximum(variance, 0) + np.float32(EPSILON)))


def _product(matrix: Float, plane: Float) -> Float:
    """Multiply in pieces of columns that are each too small for BLAS to wake up its threads."""
    result = np.empty((matrix.shape[0], plane.shape[1]), np.float32)
    step = max(_ONE_THREAD // matrix.size, 1)
    for left in range(0, plane.shape[1], step):
        columns = slice(left, left + step)
        np.matmul(matrix, plane[:, columns], out=result[:, columns])
    return result


def _cubic_rows(rows: int, source_rows: int) -> tuple[NDArray[np.intp], Float]:
    """Return for each row the four source rows (rows, 4) it comes from and their weights (rows, 4).

    Pixel centers lie on pixel centers; beyond the border its row repeats.
    """
    centers = (np.arange(rows) + 0.5) * (source_rows / rows) - 0.5
    above = np.floor(centers)
    distance = np.abs((centers - above)[:, None] - np.arange(-1, 3))
    near = ((_SHARPNESS + 2) * distance - (_SHARPNESS + 3)) * distance**2 + 1
    far = _SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    taps = np.clip(above[:, None] + np.arange(-1, 3), 0, source_rows - 1)
    return taps.astype(np.intp), np.where(distance <= 1, near, far).astype(np.float32)
