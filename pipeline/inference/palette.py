"""Colors that a place of a photo is likely to have, for somebody to choose from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import color
from pipeline.imaging.decode import Gray

OF_PHOTO = 5
"""Main colors of the photo itself that are offered."""
COMMON = {
    "skin": (14.0, 18.0),
    "brown": (14.0, 24.0),
    "beige": (4.0, 16.0),
    "red": (55.0, 35.0),
    "yellow": (4.0, 60.0),
    "green": (-28.0, 28.0),
    "sky": (-6.0, -24.0),
    "blue": (10.0, -45.0),
    "gray": (0.0, 0.0),
}
"""a* and b* of what people's photos show most."""
_ALIKE = 6.0
"""Distance of a* and b* below which two colors are not both offered."""


def at_tone(ab: tuple[float, float], tone: int) -> str:
    """Return a color ``ab`` at a gray, 0 to 255, as ``#rrggbb``; with less chroma if need be."""
    gray = np.array([[tone]], np.uint8)
    differences = color.differences_at(gray[0], np.array([ab], np.float32))
    return f"#{bytes(color.merge(gray, differences[None])[0, 0]).hex()}"


def likely_colors(rgb: NDArray[np.uint8], x: int, y: int) -> list[tuple[str, str]]:
    """Return colors for a place of a colored photo, likeliest first.

    They are its own, the photo's main colors, and common ones, at the tone of the place.

    Args:
        rgb: (H, W, 3), the photo as it is colored.
        x: the column of the place.
        y: its row.

    Returns:
        Pairs of a word for where it comes from and the color as ``#rrggbb``.
    """
    tone = int(color.luma(rgb[y : y + 1, x : x + 1])[0, 0])
    own = color.rgb_to_lab(np.ascontiguousarray(rgb[y : y + 1, x : x + 1]))[0, 0, 1:]
    offered = [("as it is", (float(own[0]), float(own[1])))]
    offered += [("in this photo", each) for each in _main_colors(rgb, tone)]
    offered += list(COMMON.items())
    kept: list[tuple[str, tuple[float, float]]] = []
    for name, ab in offered:
        if all(np.hypot(ab[0] - a, ab[1] - b) >= _ALIKE for _, (a, b) in kept):
            kept.append((name, ab))
    colors: dict[str, str] = {}
    for name, ab in kept:
        # At a very dark or bright tone many are the same.
        colors.setdefault(at_tone(ab, tone), name)
    return [(name, each) for each, name in colors.items()]


def _main_colors(rgb: NDArray[np.uint8], tone: int) -> list[tuple[float, float]]:
    """Return the centers of the photo's colors at tones like ``tone``, most frequent first."""
    scale = min(128 / max(rgb.shape[:2]), 1.0)
    height, width = (max(round(side * scale), 1) for side in rgb.shape[:2])
    small = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    gray: Gray = color.luma(small)
    lab = color.rgb_to_lab(small)
    points = np.ascontiguousarray(lab[np.abs(gray.astype(int) - tone) < 60][:, 1:], np.float32)
    if len(points) < OF_PHOTO:
        return []
    cv2.setRNGSeed(0)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, centers = cv2.kmeans(
        points, OF_PHOTO, np.empty(0, np.int32), until, 1, cv2.KMEANS_PP_CENTERS
    )
    order = np.argsort(-np.bincount(labels.ravel(), minlength=OF_PHOTO))
    return [(float(a), float(b)) for a, b in centers[order]]
