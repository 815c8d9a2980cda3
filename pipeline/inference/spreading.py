"""How far a known color reaches: to the edges of the thing it was seen on.

The distance of a place from a hint is the cost of the cheapest way there: length costs a little,
edges cost much. It is the geodesic distance of Yatziv and Sapiro 2006, "Fast image and video
colorization using chrominance blending", found by sweeps over the rows (their section III has
another order of visits). Theirs is the sum of the steps of gray along the way. Here a pixel costs
what it is steep, whichever way it is crossed: of a slanting edge, stairs would make many small
steps. A hint's influence falls with the distance and ends at :data:`END`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray

REACH = 0.35
"""A way over even gray costs 1 for this share of the picture's longer side."""
BLUR = 1.5
"""Standard deviation in pixels of the blur before steps are looked at: grain goes by it, and faint
edges stay, which a filter that keeps edges would take for grain."""
GRAIN = 2.0
"""Levels of gray from one pixel to the next that cost nothing."""
WINDOW = 6.0
"""Standard deviation in pixels of the weights of the mean steepness around a pixel, which costs
nothing either: fur, leaves and folds are steep everywhere and are passed, an edge stands out."""
STEP = 3.0
"""Levels above these for which a pixel costs 1; twice as many cost four times as much: a ball's
shading, spread over many pixels, is passed, and the same step at once is an edge."""
END = 3.0
"""The cost from which on a hint changes nothing."""

_HIGHEST = 4.0
"""Of a single step: more than :data:`END` is all the same, and sums stay exact in float32."""
_SWEEPS = 6
_BEGINS = 2
"""Pixels by which a blurred edge begins early."""
_TONE = 8.0
"""Levels between neighbors of one tone that cost 1."""


def distances(gray: Gray, seeds: NDArray[np.bool_]) -> Float:
    """Return how hard it is to get to each pixel of ``gray`` (h, w) from each hint's own.

    Args:
        gray: upright, 0 to 255.
        seeds: (n, h, w), the pixels that each hint names; there the distance is 0.

    Returns:
        (n, h, w), float32; beyond :data:`END` only a lower bound.
    """
    smooth = np.asarray(cv2.GaussianBlur(gray.astype(np.float32), (0, 0), BLUR), np.float32)
    far = np.full(seeds.shape, 2 * END, np.float32)
    far[seeds] = 0
    even = 1 / (REACH * max(gray.shape))
    cost = _cost(smooth) + np.float32(even)
    across = (cost[:, 1:] + cost[:, :-1]) / 2
    down = (cost[1:] + cost[:-1]) / 2
    diagonal = np.float32(math.sqrt(2) / 2)
    falling = (cost[1:, 1:] + cost[:-1, :-1]) * diagonal
    rising = (cost[1:, :-1] + cost[:-1, 1:]) * diagonal
    # The sum of the costs up to each column: between two of one row the difference is the way.
    along = np.zeros_like(smooth)
    np.cumsum(across, axis=1, out=along[:, 1:])
    for _ in range(_SWEEPS):
        before = far.copy()
        _sweep(far, along, down, falling, rising)
        # From below: the same with the rows in reverse, where falling ways rise.
        _sweep(far[:, ::-1], along[::-1], down[::-1], rising[::-1], falling[::-1])
        if not np.any(before - far > 0.01):
            break
    return _up_to_edges(far, gray, even)


def _up_to_edges(far: Float, gray: Gray, even: float) -> Float:
    """Let each pixel be as far as a neighbor of its tone: an edge that is blurred begins early."""
    height, width = gray.shape
    tones = gray.astype(np.float32)
    result: Float = far.copy()
    for down in range(-_BEGINS, _BEGINS + 1):
        for right in range(-_BEGINS, _BEGINS + 1):
            rows, columns = _overlap(down, height), _overlap(right, width)
            neighbors = tones[_overlap(-down, height), _overlap(-right, width)]
            apart = np.maximum(np.abs(tones[rows, columns] - neighbors) - GRAIN, 0)
            way = np.square(apart / np.float32(_TONE)) + np.float32(even * math.hypot(down, right))
            own = result[:, rows, columns]
            theirs = far[:, _overlap(-down, height), _overlap(-right, width)]
            np.minimum(own, theirs + way, out=own)
    return result


def _overlap(shift: int, size: int) -> slice:
    """Return which of ``size`` have one that is ``-shift`` farther on."""
    return slice(max(shift, 0), size + min(shift, 0))


def _cost(smooth: Float) -> Float:
    """Return what crossing each pixel costs, besides its length."""
    across, down = (
        cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for axis in ((1, 0), (0, 1))
    )
    steep = cv2.magnitude(across, down)
    usual = np.maximum(cv2.GaussianBlur(steep, (0, 0), WINDOW), np.float32(GRAIN))
    cost = np.square(np.maximum(steep - usual, 0) / np.float32(STEP))
    return np.asarray(np.minimum(cost, np.float32(_HIGHEST)), np.float32)


def _sweep(far: Float, along: Float, down: Float, falling: Float, rising: Float) -> None:
    """Let ``far`` (n, h, w) follow the ways from each row to the next, and along each row."""
    for row in range(far.shape[1]):
        here = far[:, row]
        if row:
            above = far[:, row - 1]
            np.minimum(here, above + down[row - 1], out=here)
            np.minimum(here[:, 1:], above[:, :-1] + falling[row - 1], out=here[:, 1:])
            np.minimum(here[:, :-1], above[:, 1:] + rising[row - 1], out=here[:, :-1])
        way = along[row]
        rightward = way + np.minimum.accumulate(here - way, axis=1)
        leftward = np.minimum.accumulate((here + way)[:, ::-1], axis=1)[:, ::-1] - way
        np.minimum(rightward, leftward, out=here)


def shares(far: Float) -> Float:
    """Return each hint's share (n, h, w) in the color of each pixel; together at most 1.

    What they lack of 1 is the share of the color that was there before. On a hint's own pixels its
    share is 1, however near another is.
    """
    end = np.maximum(1 - np.square(far / np.float32(END)), 0)
    weight = np.square(end) / (np.square(far) + np.float32(1e-6))
    return np.asarray(weight / (1 + weight.sum(axis=0)), np.float32)
