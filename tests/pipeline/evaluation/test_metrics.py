"""Metrics against the papers' numbers and scikit-image's implementations."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.evaluation import metrics
from pipeline.imaging.color import luma, rgb_to_lab

# Sharma, Wu and Dalal (2005), table 1: L*, a*, b* of two colors, and their difference.
SHARMA = np.array(
    [
        (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
        (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
        (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
        (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
        (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
        (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
        (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
        (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
        (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
        (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


@pytest.fixture(scope="module")
def truth() -> metrics.RGB:
    return data.astronaut()[:201, 100:310]


@pytest.fixture(scope="module")
def gray(truth: metrics.RGB) -> metrics.RGB:
    return np.repeat(luma(truth)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def noisy(truth: metrics.RGB) -> metrics.RGB:
    noise = np.random.default_rng(0).normal(0, 20, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8)


def test_ciede2000_gives_the_papers_numbers_either_way_round():
    first, second, expected = SHARMA[:, :3], SHARMA[:, 3:6], SHARMA[:, 6]
    assert metrics.ciede2000(first, second) == pytest.approx(expected, abs=5e-5)
    assert metrics.ciede2000(second, first) == pytest.approx(expected, abs=5e-5)


def test_ciede2000_in_single_precision_agrees_with_scikit_image(truth, gray, noisy):
    for result in (gray, noisy):
        found = metrics.ciede2000(rgb_to_lab(result), rgb_to_lab(truth))
        assert found.dtype == np.float32
        expected = deltaE_ciede2000(rgb2lab(result), rgb2lab(truth))
        assert found == pytest.approx(expected, abs=2e-3)


def test_ciede2000_of_a_photo_with_itself_is_zero(truth):
    lab = rgb_to_lab(truth)
    assert metrics.mean_ciede2000(lab, lab) == 0


def test_psnr_agrees_with_scikit_image_and_stays_finite(truth, gray, noisy):
    for result in (gray, noisy):
        expected = peak_signal_noise_ratio(truth, result, data_range=255)
        assert metrics.psnr(result, truth) == pytest.approx(expected)
    assert metrics.psnr(truth, truth) == metrics.PSNR_CEILING == pytest.approx(58.92, abs=0.01)


def test_ssim_agrees_with_scikit_image(truth, gray, noisy):
    for result in (gray, noisy, truth):
        expected = structural_similarity(
            result,
            truth,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert metrics.ssim(result, truth) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("level", [3, 200, 255])
def test_ssim_of_even_areas_is_that_of_their_levels(level):
    truth = np.full((40, 40, 3), level, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * level * (level - 3) + c1) / (level**2 + (level - 3) ** 2 + c1)
    assert metrics.ssim(truth - 3, truth) == pytest.approx(expected, abs=1e-6)


def test_ssim_says_when_its_window_does_not_fit(truth):
    with pytest.raises(ValueError, match="11 px"):
        metrics.ssim(truth[:10], truth[:10])


def test_colorfulness_of_known_pixels():
    # Half pure red, half pure blue: rg is 255 and 0, yb is 127.5 and -255.
    halves = np.zeros((2, 4, 3), np.uint8)
    halves[0, :, 0] = halves[1, :, 2] = 255
    spread = np.hypot(127.5, 191.25)
    assert metrics.colorfulness(halves) == pytest.approx(spread + 0.3 * np.hypot(127.5, -63.75))
    spread = np.hypot(127.5, 63.75)
    expected = spread + 0.3 * np.hypot(127.5, 191.25)
    assert metrics.absolute_colorfulness(halves) == pytest.approx(expected)


def test_gray_has_no_colorfulness(gray):
    assert metrics.colorfulness(gray) == metrics.absolute_colorfulness(gray) == 0


def test_layout_features_are_means_then_deviations_of_each_cell(truth):
    lab = rgb_to_lab(truth)
    features = metrics.layout_features(lab)
    assert features.shape == (96,)
    height, width = truth.shape[:2]
    # The seventh cell: second row, third column.
    cell = rgb2lab(truth)[height // 4 : height // 2, width // 2 : width * 3 // 4]
    assert features[36:39] == pytest.approx(cell.mean(axis=(0, 1)), abs=1e-3)
    assert features[39:42] == pytest.approx(cell.std(axis=(0, 1)), abs=1e-3)


def test_layout_features_need_a_pixel_a_cell(truth):
    with pytest.raises(ValueError, match="4x4"):
        metrics.layout_features(rgb_to_lab(truth[:3]))
