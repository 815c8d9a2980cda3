"""Bringing color up to a photo's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from pipeline.imaging import color
from pipeline.imaging.gray_photo import shrink
from pipeline.imaging.upsampling import Upsampler, band_rows


def whole(upsampler: Upsampler, gray: np.ndarray, rows: int) -> np.ndarray:
    bands = [
        np.dstack(upsampler.band(top, gray[top : top + rows])) for top in range(0, len(gray), rows)
    ]
    return np.concatenate(bands)


@pytest.mark.parametrize("shape", [(333, 517), (30, 40), (7, 5), (1, 1)])
def test_without_guide_it_is_opencvs_cubic_interpolation(shape: tuple[int, int]) -> None:
    differences = np.random.default_rng(0).normal(0, 30, (30, 40, 2)).astype(np.float32)
    gray = np.zeros(shape, np.uint8)
    upsampler = Upsampler(np.zeros((30, 40), np.uint8), differences, shape, "cubic")
    expected = cv2.resize(differences, shape[::-1], interpolation=cv2.INTER_CUBIC)
    assert np.allclose(whole(upsampler, gray, 64), expected, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_bands_fit_together_whatever_their_height(rows: int) -> None:
    gray = skimage.data.camera()
    small = shrink(gray, (32, 32))
    differences = np.random.default_rng(0).normal(0, 30, (32, 32, 2)).astype(np.float32)
    upsampler = Upsampler(small, differences, gray.shape)
    assert np.allclose(whole(upsampler, gray, rows), whole(upsampler, gray, 512), atol=1e-3)


def test_16_bits_give_the_same_colors_on_a_larger_scale() -> None:
    gray = skimage.data.camera()
    small = shrink(gray, (32, 32))
    differences = np.random.default_rng(0).normal(0, 30, (32, 32, 2)).astype(np.float32)
    eight = whole(Upsampler(small, differences, gray.shape), gray, 64)
    wide = gray.astype(np.uint16) * 257
    sixteen = whole(Upsampler(small, differences, gray.shape, full_scale=65535), wide, 64)
    assert np.allclose(sixteen / 257, eight, atol=0.01)


def test_the_guide_keeps_color_from_bleeding_over_an_edge() -> None:
    gray = np.full((160, 160), 60, np.uint8)
    gray[:, 83:] = 200  # not on a border between the network's pixels
    truth = np.zeros((160, 160, 2), np.float32)
    truth[:, 83:] = (20, -30)
    small = shrink(gray, (16, 16))
    differences = cv2.resize(truth, (16, 16), interpolation=cv2.INTER_AREA)

    def error(method: str) -> float:
        result = whole(Upsampler(small, differences, gray.shape, method), gray, 64)
        return float(np.abs(result - truth)[:, 63:103].mean())

    assert error("guided") < 0.6 * error("cubic")


def test_on_photos_the_guide_brings_colors_nearer_to_the_truth_than_bilinear() -> None:
    for photo in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()):
        gray = color.luma(photo)
        shape = (gray.shape[0] // 8, gray.shape[1] // 8)
        truth = color.differences_of(photo)
        differences = cv2.resize(truth, shape[::-1], interpolation=cv2.INTER_AREA)
        guided = whole(Upsampler(shrink(gray, shape), differences, gray.shape), gray, 64)
        bilinear = cv2.resize(differences, gray.shape[::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(guided - truth).mean() < 0.95 * np.abs(bilinear - truth).mean()


@pytest.mark.parametrize("width", [1, 100, 4000, 100_000])
def test_bands_have_rows_and_stay_small(width: int) -> None:
    assert 1 <= band_rows(width) <= 64
    assert band_rows(width) == 1 or band_rows(width) * width * 4 < 131_072
