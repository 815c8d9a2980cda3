"""How a film's pictures move, on the small frames that the network sees.

Dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search",
arXiv:1603.03590) finds it both ways. Where the way there and the way back do not meet, something
was covered or uncovered, or the search is wrong: nothing can be carried over there. Except where
the picture at a place is as before: in plain walls and roads a search follows grain.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray

_MISS = 1.0
"""Pixels by which there and back may miss each other before trust falls to 1/e."""
_CHANGE = 12.0
"""Levels of 255 by which gray may change along the way before trust falls to 1/e."""
_STILL_CHANGE, _AROUND = 4.0, (7, 7)
"""Levels by which gray may change at its place, in a square of so many pixels on average, before
trust that nothing moved falls to 1/e."""
_CUT_TRUST, _CUT_CHANGE = 0.35, 18.0
"""A cut: less of the picture than this is found again, and gray differs by more levels."""


@dataclass(frozen=True)
class Motion:
    """Where each pixel of a frame is in another one, mostly the frame before."""

    places: Float
    """(h, w, 2): column and row in the other frame."""
    trust: Float
    """(h, w): 0 to 1, how surely it is the same thing there."""
    is_cut: bool
    """Whether another scene begins."""

    def carry(self, values: Float) -> Float:
        """Bring ``values`` (h, w) or (h, w, n) of the other frame to where they are in this one."""
        return _taken_from(values, self.places)

    def after(self, other: Motion) -> Motion:
        """Return where each pixel is in the frame that ``other`` leads to from the other frame."""
        trust = self.trust * self.carry(other.trust)
        return Motion(self.carry(other.places), trust, self.is_cut or other.is_cut)


class MotionFinder:
    """Finds the motion between frames of one size."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # The small frames are the film at a fifth of its size already.
        self._search.setFinestScale(1)

    def both_ways(self, before: Gray, now: Gray) -> tuple[Motion, Motion]:
        """Find where the pixels of ``now`` were in ``before``, and those of ``before`` are now.

        Both are (h, w), uint8.
        """
        back, there = self._flow(now, before), self._flow(before, now)
        return _motion(before, now, back, there), _motion(now, before, there, back)

    def _flow(self, of: Gray, to: Gray) -> Float:
        start = np.zeros((*of.shape, 2), np.float32)
        contiguous = np.ascontiguousarray(of), np.ascontiguousarray(to)
        return np.asarray(self._search.calc(*contiguous, start), np.float32)


def _motion(before: Gray, now: Gray, back: Float, there: Float) -> Motion:
    """Judge the flow ``back`` from ``now`` to ``before`` (h, w, 2) by the one the other way."""
    height, width = now.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    grid = np.dstack([columns, rows])
    places = grid + back
    miss = _squared(back + _taken_from(there, places))
    changed = np.abs(_taken_from(before.astype(np.float32), places) - now)
    change = np.asarray(cv2.blur(changed, (3, 3)), np.float32)
    # Fast motion is found less exactly: what it may miss by grows with it.
    slack = _MISS**2 + np.float32(0.02) * _squared(back)
    trust = np.exp(-miss / slack - np.square(change / np.float32(_CHANGE)))
    x, y = places[..., 0], places[..., 1]
    trust[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = 0
    is_cut = bool(trust.mean() < _CUT_TRUST and change.mean() > _CUT_CHANGE)
    unmoved = cv2.blur(cv2.absdiff(before, now).astype(np.float32), _AROUND)
    still = np.exp(-np.square(unmoved / np.float32(_STILL_CHANGE)))
    places = np.where((still > trust)[..., None], grid, places)
    trust = np.maximum(trust, still)
    return Motion(places, trust.astype(np.float32), is_cut)


def _squared(steps: Float) -> Float:
    """Return the square of the length of ``steps`` (h, w, 2).

    NumPy's sum along an axis of two takes thirty times as long.
    """
    return np.asarray(np.square(steps[..., 0]) + np.square(steps[..., 1]), np.float32)


def _taken_from(values: Float, places: Float) -> Float:
    """Return ``values`` (h, w) or (h, w, n) at ``places`` (h, w, 2), columns and rows."""
    columns, rows = cv2.split(places)
    taken = cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken, np.float32)
