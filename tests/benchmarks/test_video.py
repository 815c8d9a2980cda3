"""The benchmark's ways to encode a film, and its measure of luma."""

from __future__ import annotations

import math
from pathlib import Path

import films
import numpy as np
import pytest
from predictors import Rainbow
from video import color, color_plainly, gray_version, luma_psnr, moving_window, transcode

from pipeline.inference.colorizer import Colorizer


def test_the_psnr_of_luma_is_that_of_its_codes(tmp_path: Path) -> None:
    one, other = (
        films.write_film(
            tmp_path / f"{level}.mkv", pictures=[np.full(films.SIZE, level, np.uint16)] * 12
        )
        for level in (100, 110)
    )
    assert luma_psnr(one, other) == pytest.approx(20 * math.log10(255 / 10))


def test_without_a_film_one_is_made_that_moves(tmp_path: Path) -> None:
    film = moving_window(tmp_path / "window.mkv", 0.2)
    assert gray_version(film, tmp_path / "gray.mp4", (96, 54), 0.2) == 5
    first, *_, last = (
        frame.to_ndarray(format="gray").astype(float)
        for frame in films.frames_of(tmp_path / "gray.mp4")
    )
    assert np.abs(first - last).mean() > 1


def test_each_way_encodes_every_frame(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mp4", codec="libx264", full_range=False)
    colorizer = Colorizer(Rainbow())
    transcode(source, tmp_path / "a.mp4")
    color(colorizer, source, tmp_path / "b.mp4")
    color_plainly(colorizer, source, tmp_path / "c.mp4")
    for way in "abc":
        assert films.times_of(tmp_path / f"{way}.mp4") == films.times_of(source)
        assert luma_psnr(source, tmp_path / f"{way}.mp4") > 35
