"""A reference photo."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import ExifTags, Image
from predictors import Rainbow

from pipeline.errors import ColorpipeError
from pipeline.evaluation.pair import compare
from pipeline.imaging import color
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.references import BORDER, Reference, matched

PHOTO = skimage.data.coffee()[:384, :384]
GRAY = color.luma(PHOTO)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load("pretrained", "cpu")


def test_like_things_get_like_colors(colorizer: Colorizer) -> None:
    plain = colorizer(GRAY)
    # The same things, moved and mirrored.
    other = np.ascontiguousarray(skimage.data.coffee()[8:392, 24:408][:, ::-1])
    by_reference = colorizer(GRAY, reference=other)
    assert compare(by_reference, PHOTO).ciede2000 < compare(plain, PHOTO).ciede2000 - 1
    assert np.array_equal(color.luma(by_reference), GRAY)


def test_where_nothing_matches_nothing_changes(colorizer: Colorizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert np.array_equal(colorizer(GRAY, reference=noise), colorizer(GRAY))


def test_single_matches_count_for_nothing() -> None:
    shape = (12, 12)
    features = np.eye(144, dtype=np.float32).reshape(*shape, 144)
    ab = np.full((*shape, 2), (30, 10), np.float32)
    mirrored = Reference.of(features[:, ::-1], ab)
    assert matched(features, mirrored, (24, 24)) is not None
    # The same places, but nobody beside those that were beside them.
    scattered = np.random.default_rng(0).permutation(features.reshape(144, 144))
    elsewhere = Reference.of(scattered.reshape(*shape, 144), ab)
    assert matched(features, elsewhere, (24, 24)) is None


def test_a_reference_that_is_nothing_but_its_border_says_nothing() -> None:
    low = np.ones((2 * BORDER, 24, 144), np.float32)
    nothing = Reference.of(low, np.zeros((2 * BORDER, 24, 2), np.float32))
    features = np.eye(144, dtype=np.float32).reshape(12, 12, 144)
    assert matched(features, nothing, (24, 24)) is None


def test_other_networks_refuse_one() -> None:
    with pytest.raises(ColorpipeError, match="needs a network that takes hints"):
        Colorizer(Rainbow())(GRAY, reference=PHOTO)


def test_an_array_without_colors_is_refused(colorizer: Colorizer) -> None:
    with pytest.raises(ValueError, match=r"is not \(H, W, 3 or 4\) of uint8"):
        colorizer(GRAY, reference=GRAY)


def test_an_image_without_pixels_is_refused(colorizer: Colorizer) -> None:
    with pytest.raises(ValueError, match="no pixels"):
        colorizer(GRAY, reference=Image.new("RGB", (0, 5)))


def test_exif_alone_turns_a_reference(colorizer: Colorizer) -> None:
    upright = skimage.data.astronaut()[:384]
    gray = color.luma(upright)
    expected = colorizer(gray, reference=upright)
    by_exif = Image.fromarray(np.rot90(upright))
    by_exif.getexif()[ExifTags.Base.Orientation] = 6
    assert np.array_equal(colorizer(gray, reference=by_exif), expected)
    by_xmp = Image.fromarray(upright)
    by_xmp.info["xmp"] = b'<x tiff:Orientation="6"/>'
    assert np.array_equal(colorizer(gray, reference=by_xmp), expected)


def test_matches_that_disagree_are_not_relied_on() -> None:
    shape = (8, 8)
    features = np.zeros((*shape, 2), np.float32)
    features[..., 0] = 1
    agreeing = np.full((*shape, 2), (30, 10), np.float32)
    mixed = agreeing.copy()
    mixed[:, ::2] = (-40, -50)
    sure = matched(features, Reference.of(features, agreeing), (16, 16))
    doubtful = matched(features, Reference.of(features, mixed), (16, 16))
    assert sure is not None
    middle = sure[8, 8]
    assert middle[:2] == pytest.approx((30, 10))
    assert middle[2] > 0.7
    assert sure[:BORDER, :, 2].max() == 0
    assert doubtful is None or doubtful[8, 8, 2] < 0.4
