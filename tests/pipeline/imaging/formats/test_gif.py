"""GIF's palette, spent on tones first."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from pipeline.imaging import color
from pipeline.imaging.formats import gif


@pytest.mark.parametrize("levels", [1, 2, 60, 85, 86, 256])
def test_tones_stay_within_a_level_and_exact_where_they_are_few(levels: int) -> None:
    steps = np.linspace(0, 255, levels).round().astype(np.uint8)
    gray = steps[np.random.default_rng(0).integers(0, levels, (90, 80))]
    differences = np.random.default_rng(1).normal(0, 40, (90, 80, 2)).astype(np.float32)
    result = np.asarray(gif.quantized(gray, None, differences).convert("RGB"))
    error = np.abs(color.luma(result).astype(int) - gray).max()
    assert error <= (0 if levels <= 85 else 1)


def test_colors_are_kept_where_the_palette_has_room() -> None:
    gray = np.full((40, 40), 128, np.uint8)
    differences = np.zeros((40, 40, 2), np.float32)
    differences[:20] = (60, -40)
    differences[20:] = (-40, 60)
    result = np.asarray(gif.quantized(gray, None, differences).convert("RGB"))
    # One entry may hold pixels from both sides of the border between the two colors.
    assert (result == color.merge(gray, differences)).mean() > 0.98


def test_a_photo_keeps_most_of_its_color() -> None:
    photo = skimage.data.coffee()
    gray, truth = color.luma(photo), color.differences_of(photo)
    image = gif.quantized(gray, None, truth)
    result = color.differences_of(np.asarray(image.convert("RGB")))
    assert np.abs(result - truth).mean() < 0.35 * np.abs(truth).mean()


def test_half_transparent_becomes_one_or_the_other() -> None:
    gray = np.full((4, 4), 9, np.uint8)
    alpha = np.array([[0, 127, 128, 255]] * 4, np.uint8)
    image = gif.quantized(gray, alpha, np.zeros((4, 4, 2), np.float32))
    result = np.asarray(image.convert("RGBA"))[..., 3]
    assert result.tolist() == [[0, 0, 255, 255]] * 4
