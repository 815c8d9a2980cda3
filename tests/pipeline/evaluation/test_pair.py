"""A pair of pictures compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from pipeline.evaluation.pair import compare

PHOTO = data.astronaut()[:200, :300]
PALE = ((PHOTO.astype(np.float32) + PHOTO.mean(axis=2, keepdims=True)) / 2).astype(np.uint8)


def test_the_metrics_are_those_of_the_field() -> None:
    found = compare(PALE, PHOTO)
    expected = deltaE_ciede2000(rgb2lab(PALE), rgb2lab(PHOTO)).mean()
    assert found.ciede2000 == pytest.approx(expected, abs=0.01)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(PHOTO, PALE), abs=0.01)
    assert 0 < found.ssim < 1
    assert found.colorfulness_ratio == pytest.approx(0.5, abs=0.1)


def test_equal_pictures_are_perfect() -> None:
    found = compare(PHOTO, PHOTO)
    assert (found.ciede2000, found.colorfulness_ratio) == (0, 1)
    assert found.ssim == pytest.approx(1)


def test_images_and_arrays_compare_alike() -> None:
    image = Image.fromarray(PALE)
    assert compare(image, PHOTO) == compare(PALE, Image.fromarray(PHOTO)) == compare(PALE, PHOTO)
    gray = Image.fromarray(PHOTO).convert("L")
    assert compare(gray, PHOTO) == compare(np.asarray(gray), PHOTO)


def test_the_orientation_of_an_image_is_applied() -> None:
    turned = Image.fromarray(np.rot90(PALE))
    turned.getexif()[0x0112] = 6  # stored a quarter turn to the left of upright
    assert compare(turned, PHOTO) == compare(PALE, PHOTO)


def test_a_gray_ground_truth_has_no_colorfulness_ratio() -> None:
    assert compare(PHOTO, PHOTO[..., 1]).colorfulness_ratio is None


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="200x100 px and the ground truth 300x200 px"):
        compare(PHOTO[:100, :200], PHOTO)


def test_a_path_is_no_picture() -> None:
    path: Any = "colored.png"
    with pytest.raises(TypeError, match=r"of type str is not taken: .* as Image\.open makes it"):
        compare(path, PHOTO)


@pytest.mark.parametrize(
    "array", [PHOTO / 255, PHOTO[..., :2], PHOTO[None], PHOTO.astype(np.uint16)]
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is not sRGB of uint8"):
        compare(array, PHOTO)
