"""Motion between pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data

from pipeline.video.motion import MotionFinder

GRAY = np.asarray(cv2.resize(skimage.data.camera(), (192, 192), interpolation=cv2.INTER_AREA))
OTHER = np.asarray(cv2.resize(skimage.data.coins(), (160, 128), interpolation=cv2.INTER_AREA))


def test_a_moved_picture_is_found_again() -> None:
    before, now = GRAY[20:148, 10:170], GRAY[22:150, 13:173]
    motion, _ = MotionFinder().both_ways(before, now)
    middle = np.s_[24:-24, 24:-24]
    rows, columns = np.mgrid[:128, :160]
    assert np.median(np.abs(motion.places[middle][..., 0] - columns[middle] - 3)) < 0.3
    assert np.median(np.abs(motion.places[middle][..., 1] - rows[middle] - 2)) < 0.3
    assert motion.trust[middle].mean() > 0.8
    assert not motion.is_cut
    carried = motion.carry(before.astype(np.float32))
    assert np.abs(carried - now)[middle].mean() < 4


def test_motion_there_leads_back_again_and_motions_follow_each_other() -> None:
    first, second, third = (
        GRAY[20 + 2 * n : 148 + 2 * n, 10 + 3 * n : 170 + 3 * n] for n in range(3)
    )
    finder = MotionFinder()
    back, there = finder.both_ways(first, second)
    middle = np.s_[24:-24, 24:-24]
    rows, columns = np.mgrid[:128, :160]
    grid = np.dstack([columns, rows])
    assert np.median(np.abs(back.places - grid - (3, 2))[middle]) < 0.3
    assert np.median(np.abs(there.places - grid + (3, 2))[middle]) < 0.3
    further, _ = finder.both_ways(second, third)
    twice = further.after(back)
    assert np.median(np.abs(twice.places - grid - (6, 4))[middle]) < 0.4
    assert twice.trust[middle].mean() > 0.7


def test_what_was_uncovered_is_not_trusted() -> None:
    before = GRAY[20:148, 10:170].copy()
    now = before.copy()
    before[40:90, 40:90] = OTHER[40:90, 40:90]
    now[40:90, 60:110] = OTHER[40:90, 40:90]
    motion, _ = MotionFinder().both_ways(before, now)
    assert motion.trust[50:80, 44:56].mean() < 0.4
    assert motion.trust[100:, 120:].mean() > 0.9


def test_what_stays_is_trusted_where_grain_alone_could_be_followed() -> None:
    grain = np.random.default_rng(0).integers(-3, 4, (2, 128, 160))
    before, now = (120 + grain).astype(np.uint8)
    before[40:90, 40:90] = 240
    now[40:90, 60:110] = 240
    motion, _ = MotionFinder().both_ways(before, now)
    around = np.ones((128, 160), bool)
    around[30:100, 30:120] = False
    assert motion.trust[around].min() > 0.5
    assert motion.trust[50:80, 44:56].max() < 0.1


def test_a_cut_is_noticed_and_a_change_of_light_is_none() -> None:
    before = GRAY[20:148, 10:170]
    cut, _ = MotionFinder().both_ways(before, OTHER)
    assert cut.is_cut
    darker = (before * 0.95).astype(np.uint8)
    dimmed, _ = MotionFinder().both_ways(before, darker)
    assert not dimmed.is_cut
