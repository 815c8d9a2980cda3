"""The measures of steadiness, on frames whose values are known."""

from __future__ import annotations

import math
from pathlib import Path

import films
import numpy as np
import pytest
from predictors import Rainbow
from video_steadiness import cdc, colored, flicker, frames_of, scores

from pipeline.imaging.color import rgb_to_lab
from pipeline.inference.colorizer import Colorizer

GRAY = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8).repeat(2, 0).repeat(2, 1)
STILL = np.dstack([GRAY] * 3)


def test_still_frames_have_no_divergence_and_no_flicker() -> None:
    frames = [STILL] * 6
    assert cdc(frames) == 0
    assert flicker([rgb_to_lab(frame) for frame in frames], frames) == pytest.approx(0, abs=1e-4)


def test_frames_without_a_common_color_diverge_by_the_logarithm_of_two() -> None:
    frames = [np.full((8, 8, 3), 255 * (number % 2), np.uint8) for number in range(8)]
    # One apart they have nothing in common, two and four apart everything.
    assert cdc(frames) == pytest.approx(math.log(2) / 3)


def test_flicker_is_the_change_of_chroma() -> None:
    labs = [rgb_to_lab(STILL) for _ in range(4)]
    labs[1][..., 1] += 3
    labs[1][..., 2] += 4
    # It changes by five there and back, and then not.
    assert flicker(labs, [STILL] * 4) == pytest.approx(10 / 3, rel=1e-3)


def test_a_film_is_colored_and_measured(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "film.mkv")
    truth = frames_of(path, 0.1, 0.2)
    assert len(truth) == 5
    frames, share = colored(truth, Colorizer(Rainbow()), 0.7)
    row = scores(frames, truth, share)
    assert 0 < row.predictions <= 1
    assert row.ciede2000 > 5
    assert row.colorfulness > 20
