"""Colors that stay with the things they belong to, from frame to frame.

A network that sees one picture at a time colors the same thing a little differently in each: the
film flickers. So it is asked at key frames only, every few of them. The colors of a key frame are
the mean of what the network sees there, at the key frame before and at the one after, both carried
along the motion; those of the frames in between go over from one key frame's to the next's.

The mean reaches as far ahead as back. One over the past alone would keep what the network saw first
for longer than it still sees it: its errors then last, and what it sees better later comes late.
And what a thing uncovers, only the key frame after has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging import color
from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.video.motion import Motion, MotionFinder
from pipeline.video.settings import STEADY

INTERVAL = 4
"""Frames from one key frame to the next where motion is clear."""
_UNSURE = 0.3
"""Trust below which a place counts as lost since the key frame before."""
_LOST = 0.12
"""Share of the picture that may be lost before a frame becomes a key frame."""
_ROOM, _FEW = (31, 31), 0.25
"""Pixels around a place that show how two key frames' colors differ there, and the share of them
that has to be found in both before they say anything."""
_FILL, _TONES = (9, 9), 32
"""Pixels around a place in neither key frame whose colors it borrows, and by how many levels of
gray they may differ from it."""
_LITTLE = np.float32(1e-3)


@dataclass(frozen=True)
class ColorState:
    """What the colors of the frames after a key frame depend on."""

    gray: Gray
    """(h, w): the key frame."""
    predicted: Float
    """(h, w, 2): what the network sees there, R - Y and B - Y on the scale of 255."""
    colors: Float
    """(h, w, 2): the colors it has."""


@dataclass
class _Frame:
    """A frame whose colors are not known yet."""

    gray: Gray
    back: Motion
    """Where its pixels were in the key frame before."""
    ahead: Motion
    """Where the pixels of the frame before it are in this one."""


@dataclass(frozen=True)
class _Between:
    """A frame between two key frames."""

    gray: Gray
    back: Motion
    """Where its pixels were in the key frame before."""
    ahead: Motion
    """Where its pixels are in the key frame after."""


@dataclass(frozen=True)
class _Key:
    """A key frame that waits for the next one."""

    gray: Gray
    predicted: Float
    back: Motion | None = None
    """Where its pixels were in the key frame before; None if that is another scene's."""
    ahead: Motion | None = None
    """Where the pixels of the key frame before are in this one."""
    between: tuple[_Between, ...] = ()
    """The frames since the key frame before."""


class SteadyColors:
    """Colors the small frames of a film one after the other, a few frames late.

    Args:
        predict: the network: a* and b* (h, w, 2) for gray (h, w).
        steady: 0, each frame by itself, to 1: how much what the network sees at the key frames
            before and after counts, beside what it sees at a key frame.
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
        self._motion = MotionFinder()
        self.state = state
        """The last key frame whose colors are known: after :meth:`finish`, the last frame."""
        self._waiting: _Key | None = None
        self._frames: list[_Frame] = []
        self.predictions = 0
        """How often the network ran."""

    def add(self, gray: Gray) -> list[Float]:
        """Take the next frame ``gray`` (h, w).

        Returns:
            The colors R - Y and B - Y (h, w, 2) of those frames, in their order, whose colors are
            known by now: none, or all up to some key frame.
        """
        if self._steady == 0:
            return [self._fresh(gray)]
        before = self._last()
        if before is None:
            self._waiting = _Key(gray, self._fresh(gray))
            return []
        if before.shape != gray.shape:
            return self._begin(gray)
        back, ahead = self._motion.both_ways(before, gray)
        if back.is_cut:
            return self._begin(gray)
        if self._frames:
            back = back.after(self._frames[-1].back)
        self._frames.append(_Frame(gray, back, ahead))
        lost = float(np.mean(back.trust < _UNSURE))
        if len(self._frames) < INTERVAL and lost < _LOST:
            return []
        return self._add_key()

    def finish(self) -> list[Float]:
        """Return the colors of the frames that are left; the last becomes a key frame."""
        known = self._add_key() if self._frames else []
        return known + self._settle(None)

    def _last(self) -> Gray | None:
        """Return the frame before the next one."""
        if self._frames:
            return self._frames[-1].gray
        known = self._waiting or self.state
        return None if known is None else known.gray

    def _begin(self, gray: Gray) -> list[Float]:
        """Begin another scene, which has nothing to do with the one before."""
        known = self.finish()
        self.state = None
        self._waiting = _Key(gray, self._fresh(gray))
        return known

    def _add_key(self) -> list[Float]:
        """Make a key frame of the last frame; return what is known by that."""
        *between, last = self._frames
        passed: list[_Between] = []
        ahead = last.ahead
        for frame in reversed(between):
            passed.insert(0, _Between(frame.gray, frame.back, ahead))
            ahead = frame.ahead.after(ahead)
        key = _Key(last.gray, self._fresh(last.gray), last.back, ahead, tuple(passed))
        self._frames = []
        known = self._settle(key)
        self._waiting = key
        return known

    def _settle(self, following: _Key | None) -> list[Float]:
        """Decide the colors of the key frame that waits, and of the frames before it."""
        key, before = self._waiting, self.state
        if key is None:
            return []
        others = []
        if before is not None and key.back is not None:
            others.append((key.back, before.predicted))
        if following is not None and following.ahead is not None:
            others.append((following.ahead, following.predicted))
        share = np.float32(self._steady / (1 + self._steady * len(others)))
        colors = key.predicted
        for motion, predicted in others:
            colors = colors + share * _spread(motion.carry(predicted) - key.predicted, motion.trust)
        known = []
        if before is not None:
            count = len(key.between) + 1
            for number, frame in enumerate(key.between, 1):
                known.append(_passing(frame, before.colors, colors, number / count))
        self.state = ColorState(key.gray, key.predicted, colors)
        self._waiting = None
        return [*known, colors]

    def _fresh(self, gray: Gray) -> Float:
        self.predictions += 1
        return color.differences_over(gray, self._predict(gray))


def _passing(frame: _Between, old: Float, new: Float, time: float) -> Float:
    """Return the colors of ``frame`` at ``time``, 0 to 1, from a key frame to the next.

    What only one of them has seen changes as the colors around it do.
    """
    back, ahead = frame.back, frame.ahead
    from_old, from_new = back.carry(old), ahead.carry(new)
    change = _spread(from_new - from_old, back.trust * ahead.trust)
    from_old += change * np.float32(time)
    from_new -= change * np.float32(1 - time)
    share = (ahead.trust + _LITTLE) / (back.trust + ahead.trust + 2 * _LITTLE)
    colors = from_old + (from_new - from_old) * share[..., None]
    return _filled(colors, np.maximum(back.trust, ahead.trust), frame.gray)


def _spread(differences: Float, trust: Float) -> Float:
    """Return ``differences`` (h, w, 2), and where trust is low the mean of those around.

    The network may see a room gray and four frames later yellow. Where the room is uncovered
    meanwhile, it shall look like the rest, which is halfway between.
    """
    share = trust[..., None]
    weights = np.maximum(cv2.blur(trust, _ROOM), np.float32(_FEW))
    around = cv2.blur(differences * share, _ROOM) / weights[..., None]
    return np.asarray(around + (differences - around) * share, np.float32)


def _filled(colors: Float, trust: Float, gray: Gray) -> Float:
    """Give places that neither key frame has seen the colors around them that have their tone.

    Normalized convolution (Knutsson and Westin 1993), a mean in which each counts by its share,
    with the bilateral grid's levels of gray (Chen, Paris and Durand 2007): an arm in front of a
    black shirt does not turn gray.
    """
    weights = np.maximum(trust, _LITTLE)
    planes = [colors[..., 0] * weights, colors[..., 1] * weights, weights]
    sums = [np.zeros_like(trust) for _ in planes]
    tones = gray.astype(np.float32) / _TONES
    for level in range(256 // _TONES + 1):
        near = np.maximum(1 - np.abs(tones - level), 0)
        for plane, total in zip(planes, sums, strict=True):
            cv2.accumulateProduct(near, cv2.blur(near * plane, _FILL), total)
    around = np.dstack(sums[:2]) / sums[2][..., None]
    return np.asarray(around + (colors - around) * trust[..., None], np.float32)
