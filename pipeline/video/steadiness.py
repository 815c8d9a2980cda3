"""Colors that stay with the things they belong to, from frame to frame.

A network that sees one picture at a time colors the same thing a little differently in each: the
film flickers. So colors are carried along the motion, each with the evidence for it, the number of
predictions it was made of. A new prediction is blended in with the weight of one more, so that
colors come near the mean of all predictions for the same thing. Evidence falls where motion is
unsure, so that uncovered places take the next prediction almost alone, shifted as the colors
around them differ from it, and it ends at cuts.

Because carried colors hold for a while, the network runs on a part of the frames only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging import color
from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.video.motion import MotionFinder
from pipeline.video.settings import STEADY

INTERVAL = 4
"""Frames from one prediction to the next where motion is clear."""
_FORGOTTEN = 0.3
"""Evidence below which a place counts as without a color of its own."""
_LOST = 0.06
"""Share of the picture that may be without a color of its own before the network is asked."""
_ROOM, _FEW = (31, 31), 0.25
"""Pixels around an uncovered one that show how colors differ from a new prediction, and the share
of old colors in them below which they say little."""
_FILL = (9, 9)
"""Pixels around an uncovered one whose colors it borrows until the next prediction."""


_MOST = 1e6
"""Predictions that weigh so much that a further one changes nothing."""


@dataclass(frozen=True)
class ColorState:
    """What the colors of the next frame depend on."""

    gray: Gray
    """(h, w): the last frame."""
    differences: Float
    """(h, w, 2): its colors, R - Y and B - Y on the scale of 255."""
    evidence: Float
    """(h, w): how many predictions each is made of."""
    since: int
    """Frames since the network ran."""


class SteadyColors:
    """Colors the small frames of a film one after the other.

    Args:
        predict: the network: a* and b* (h, w, 2) for gray (h, w).
        steady: 0, each frame by itself, to 1: how much of a color is kept at the most when
            a new prediction comes.
        state: what another left off with, to go on from.
    """

    def __init__(
        self,
        predict: Callable[[Gray], Float],
        steady: float = STEADY,
        state: ColorState | None = None,
    ) -> None:
        self._predict = predict
        self._steady = steady
        self._limit = steady / (1 - steady) if steady < 1 else _MOST
        self._interval = INTERVAL if steady > 0 else 1
        self._motion = MotionFinder()
        self.state = state
        self.predictions = 0
        """How often the network ran."""

    def color(self, gray: Gray) -> Float:
        """Return the colors of the next frame ``gray`` (h, w): R - Y and B - Y (h, w, 2)."""
        before = self.state
        if before is None or self._limit == 0:
            return self._begin(gray)
        motion = self._motion.between(before.gray, gray)
        if motion.is_cut:
            return self._begin(gray)
        evidence = motion.carry(before.evidence) * motion.trust
        carried = motion.carry(before.differences)
        lost = float(np.mean(evidence < _FORGOTTEN))
        if before.since + 1 < self._interval and lost < _LOST:
            colors = _filled(carried, np.minimum(evidence, 1))
            self.state = ColorState(gray, colors, evidence, before.since + 1)
            return colors
        fresh = self._fresh(gray)
        share = (evidence / (1 + evidence))[..., None]
        kept = (carried - fresh) * share
        # Where a color has all the evidence there can be, its share is steady.
        new = 1 - share / np.float32(self._steady)
        colors = np.asarray(fresh + kept + new * _around(kept, share), np.float32)
        evidence = np.minimum(evidence + 1, self._limit)
        self.state = ColorState(gray, colors, evidence, 0)
        return colors

    def _begin(self, gray: Gray) -> Float:
        colors = self._fresh(gray)
        ones = np.full(gray.shape, min(1, self._limit), np.float32)
        self.state = ColorState(gray, colors, ones, 0)
        return colors

    def _fresh(self, gray: Gray) -> Float:
        self.predictions += 1
        return color.differences_over(gray, self._predict(gray))


def _around(kept: Float, share: Float) -> Float:
    """Return by how much the colors around a place differ from what the network sees there now.

    It may see a room gray and four frames later yellow. Where the room is uncovered meanwhile, it
    shall look like the rest, which keeps most of its gray.
    """
    weights = np.maximum(cv2.blur(share, _ROOM), np.float32(_FEW))
    return np.asarray(cv2.blur(kept * share, _ROOM) / weights[..., None], np.float32)


def _filled(colors: Float, share: Float) -> Float:
    """Give places that were just uncovered the colors around them, until the network has run.

    Normalized convolution (Knutsson and Westin 1993): a mean in which each counts by its share.
    """
    weights = np.maximum(share, np.float32(1e-3))
    around = cv2.blur(colors * weights[..., None], _FILL) / cv2.blur(weights, _FILL)[..., None]
    return np.asarray(around + (colors - around) * share[..., None], np.float32)
