"""What a click does, by fewer clicks than the benchmark makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from clicks import (
    ALLOWED,
    EDGES,
    LIMIT,
    Click,
    by_folder,
    click,
    grays,
    least_error,
    show_clicks,
    ways,
    worn,
)

from pipeline.imaging.color import luma, rgb_to_lab
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.torch_predictor import TorchPredictor

PHOTOS = {
    "a person": luma(skimage.data.astronaut()[:300, 60:360]),
    "an animal": luma(skimage.data.chelsea()),
    "a table": luma(skimage.data.coffee()),
}


@pytest.fixture(scope="module")
def clicks() -> list[Click]:
    colorizers = ways(TorchPredictor.load(pretrained_weights(), "cpu"))
    draw = np.random.default_rng(1)
    made: list[Click] = []
    for number in range(12):
        name = list(PHOTOS)[number % len(PHOTOS)]
        # As it is, and larger with grain, where a place has neighbors of other tones.
        gray = worn(PHOTOS[name], 1 + number % 2, 8 * (number % 2), draw)
        made += click(colorizers, name, gray, draw, offered=number % 4 < 2)
    return made


def test_photos_are_drawn_from_every_folder_alike(tmp_path: Path) -> None:
    for name in ("sea/1.jpg", "sea/deep/2.jpg", "town/3.jpg", "4.jpg", "town/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [[path.name for path in folder] for folder in by_folder(tmp_path)]
    assert sorted(found) == [["1.jpg", "2.jpg"], ["3.jpg"], ["4.jpg"]]
    with pytest.raises(SystemExit, match="There are no JPEG photos in"):
        by_folder(tmp_path / "none")


def test_the_place_has_the_color_or_the_nearest_that_there_is(clicks: list[Click]) -> None:
    allowed = [each for each in clicks if each.least <= ALLOWED]
    assert len(allowed) >= 12
    assert max(each.error for each in allowed) <= LIMIT
    others = [each for each in clicks if each.least > ALLOWED]
    assert len(others) >= 2
    assert max(each.error - each.least for each in others) <= LIMIT


def test_the_page_says_which_colors_are_not_possible(clicks: list[Click]) -> None:
    assert [each.said for each in clicks] == [each.error > LIMIT for each in clicks]
    assert {each.said for each in clicks} == {True, False}


def test_the_nearest_color_is_found() -> None:
    rgb = np.array([[[200, 60, 90]]], np.uint8)
    tone = int(luma(rgb)[0, 0])
    ab = rgb_to_lab(rgb)[0, 0, 1:]
    assert least_error(ab, tone) < 0.3
    # Black has no color at all.
    assert least_error(ab, 0) > 20


@pytest.mark.parametrize("shape", EDGES)
def test_grays_meet_in_a_ramp_of_the_width_asked_for(shape: str) -> None:
    row = grays(EDGES[shape], 40, 4)[128].astype(int)
    assert (row[192], row[-1]) == (100 if shape == "round" else 140, 140)
    assert np.count_nonzero(np.diff(row)) == (8 if shape == "round" else 4)


def test_the_table_has_a_row_for_each_way_and_source(
    clicks: list[Click], capsys: pytest.CaptureFixture[str]
) -> None:
    show_clicks(clicks)
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert sorted(rows) == [
        [way, source] for way in ("channels", "spread") for source in ("any", "offered")
    ]
