from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ablation_evaluation import (
    HeldOut,
    as_old_prints,
    common_strength,
    evaluate,
    evaluate_gray,
    read_held_out,
)
from numpy.typing import NDArray
from PIL import Image
from predictors import Rainbow
from splits import make_split

from pipeline.errors import ColorpipeError
from pipeline.evaluation.metrics import colorfulness, mean_ciede2000
from pipeline.imaging import color
from pipeline.imaging.color import Float, rgb_to_lab
from pipeline.inference.colorizer import Colorizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_split(tmp_path / "square", train=0, val=0, test=9)


def test_photos_are_chosen_evenly(folder: Path) -> None:
    every = read_held_out(folder, 100)
    assert len(every.photos) == 9
    photos = read_held_out(folder, 4)
    assert photos.name == "square"
    assert photos.photos == tuple(every.photos[place] for place in (0, 2, 4, 6))
    for name, gray, original in zip(photos.photos, photos.grays, photos.originals, strict=True):
        assert np.array_equal(original, np.asarray(Image.open(folder / "test_y" / name)))
        assert np.array_equal(gray, color.luma(original))


def test_a_pair_that_does_not_match_is_an_error(folder: Path) -> None:
    first = min((folder / "test_x").iterdir())
    Image.new("L", (32, 32)).save(first)
    with pytest.raises(ColorpipeError, match=f"{first.name} and .* differ in size"):
        read_held_out(folder, 9)
    first.write_bytes(b"no photo")
    with pytest.raises(ColorpipeError, match=f"{first.name} or .* cannot be read"):
        read_held_out(folder, 9)


def test_old_prints_have_other_tones_but_similar_colors(folder: Path) -> None:
    photos = read_held_out(folder, 9)
    old = as_old_prints([photos])
    assert old.photos == photos.photos[::3]
    for gray, original, before in zip(old.grays, old.originals, photos.originals[::3], strict=True):
        assert np.array_equal(color.luma(original), gray)
        assert np.abs(gray.astype(int) - color.luma(before)).mean() > 3
        change = np.abs(rgb_to_lab(original)[..., 1:] - rgb_to_lab(before)[..., 1:])
        assert np.median(change) < 3
    again = as_old_prints([photos])
    assert all(np.array_equal(x, y) for x, y in zip(again.grays, old.grays, strict=True))


def ratio_of(colorizer: Colorizer, strength: float, photos: HeldOut) -> float:
    colorizer.strength = strength
    made = [np.asarray(each) for each in colorizer.colorize_many(photos.grays)]
    return sum(map(colorfulness, made)) / sum(map(colorfulness, photos.originals))


@pytest.mark.parametrize("ratio", [0.3, 1.3, 2.8])
def test_the_common_strength_gives_the_ratio_over_all_photos(folder: Path, ratio: float) -> None:
    photos = read_held_out(folder, 9)
    colorizer = Colorizer(Rainbow(), upsampling="cubic")
    assert 2 < ratio_of(colorizer, 1.0, photos) < 2.8
    halves = [
        HeldOut(name, photos.photos[part], photos.grays[part], photos.originals[part])
        for name, part in (("first", slice(3)), ("second", slice(3, 9)))
    ]
    strength = common_strength(colorizer, halves, ratio)
    assert strength
    assert colorizer.strength == 1.0
    assert ratio_of(colorizer, strength, photos) == pytest.approx(ratio, abs=0.004)


class Pale(Rainbow):
    def predict(self, grays: NDArray[np.uint8]) -> Float:
        return super().predict(grays) / 100


def test_colors_that_are_too_weak_have_no_common_strength(folder: Path) -> None:
    colorizer = Colorizer(Pale(), upsampling="cubic")
    assert common_strength(colorizer, [read_held_out(folder, 9)], 0.8) is None
    assert colorizer.strength == 1.0


def test_figures_are_those_of_the_evaluation(folder: Path) -> None:
    photos = read_held_out(folder, 9)
    colorizer = Colorizer(Rainbow(), upsampling="cubic")
    (figures,) = evaluate(colorizer, 0.5, [photos])
    assert (figures.set, figures.photos) == ("square", 9)
    colorizer.strength = 0.5
    made = [np.asarray(each) for each in colorizer.colorize_many(photos.grays)]
    pairs = list(zip(made, photos.originals, strict=True))
    errors = [mean_ciede2000(rgb_to_lab(one), rgb_to_lab(original)) for one, original in pairs]
    assert figures.ciede2000 == pytest.approx(np.mean(errors), rel=1e-5)
    assert figures.colorfulness_ratio == pytest.approx(ratio_of(colorizer, 0.5, photos), rel=1e-5)
    assert figures.layout_distance
    assert figures.layout_distance > 0
    (gray,) = evaluate_gray([photos])
    assert gray.colorfulness_ratio == 0
    assert 0 < gray.ciede2000 < figures.ciede2000


def test_a_single_photo_has_no_layout_distance(folder: Path) -> None:
    (figures,) = evaluate_gray([read_held_out(folder, 1)])
    assert figures.layout_distance is None
