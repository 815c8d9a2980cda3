import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from photos import pixels_of, real_photos, scene
from PIL import Image, ImageDraw

from pipeline.dataset.quality import Measures, gray_of, measure, shrink_whole, working_copy
from pipeline.params import CleanParams

DEFAULTS = CleanParams()


def measured(pixels: NDArray[np.uint8]) -> Measures:
    small = working_copy(pixels)
    return measure(small, gray_of(small))


def toned(pixels: NDArray[np.uint8], dark: tuple[int, ...], light: tuple[int, ...]) -> NDArray:
    """The gray version in tones from ``dark`` to ``light``, as toning a print gives them."""
    part = np.asarray(Image.fromarray(pixels).convert("L"))[..., None] / 255
    return np.rint(np.array(dark) * (1 - part) + np.array(light) * part).astype(np.uint8)


def as_jpeg(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=80)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize(
    ("dark", "light"),
    [((0, 0, 0), (255, 255, 255)), ((30, 15, 0), (255, 235, 190)), ((10, 12, 35), (250, 244, 220))],
    ids=["gray", "sepia", "split-toned"],
)
def test_gray_and_toned_photos_have_no_spread_but_the_photo_has(
    dark: tuple[int, ...], light: tuple[int, ...]
) -> None:
    for path in real_photos(6):
        photo = pixels_of(path)
        assert measured(photo).chroma_spread > DEFAULTS.min_chroma_spread
        assert measured(as_jpeg(toned(photo, dark, light))).chroma_spread < 1.2


def test_a_tint_laid_over_gray_is_no_color_however_strong() -> None:
    photo = toned(scene(0), (0, 0, 0), (255, 255, 255))
    tinted = np.rint(photo * np.array([1.0, 0.75, 0.5])).astype(np.uint8)
    found = measured(tinted)
    assert found.chroma > 10
    assert found.chroma_spread < DEFAULTS.min_chroma_spread


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    for path in real_photos(4):
        photo = pixels_of(path)
        values = [measured(photo).sharpness] + [
            measured(cv2.GaussianBlur(photo, (0, 0), sigma)).sharpness for sigma in (1, 2, 4, 8)
        ]
        assert values == sorted(values, reverse=True)
        assert values[0] > DEFAULTS.min_sharpness > values[-1]
        faint = (photo // 4 + 96).astype(np.uint8)
        assert abs(measured(faint).sharpness - values[0]) < 0.12


def test_motion_blur_in_one_direction_is_noticed() -> None:
    photo = scene(1, 200, 200)
    along = cv2.blur(photo, (31, 1))
    assert measured(along).sharpness < measured(photo).sharpness / 2


def test_drawings_are_flat_and_photos_are_not() -> None:
    draw = np.random.default_rng(0)
    for path in real_photos(6):
        assert measured(pixels_of(path)).flatness < DEFAULTS.max_flatness
    for number in range(6):
        sheet = Image.new("RGB", (320, 240), "white" if number % 2 else "#88bb33")
        pen = ImageDraw.Draw(sheet)
        for _ in range(12):
            x, y, w, h = draw.integers(10, 160, 4).tolist()
            pen.ellipse((x, y, x + w, y + h), tuple(draw.integers(0, 256, 3).tolist()), "black", 3)
        assert measured(np.asarray(sheet)).flatness > DEFAULTS.max_flatness
        assert measured(as_jpeg(np.asarray(sheet))).flatness > DEFAULTS.max_flatness


def test_a_clear_sky_and_a_white_background_are_no_drawings() -> None:
    sky = np.linspace(110, 190, 200)[:, None] + np.random.default_rng(0).normal(0, 0.3, (200, 200))
    blue = np.dstack([sky * 0.5, sky * 0.8, sky]).astype(np.uint8)
    assert measured(blue).flatness < DEFAULTS.max_flatness
    product = np.full((200, 200, 3), 255, np.uint8)
    product[60:140, 60:140] = scene(2, 80, 80)
    assert measured(product).flatness < 0.2


def test_percentiles_contrast_and_extremes() -> None:
    dark = measured(np.full((50, 50, 3), 7, np.uint8))
    assert (dark.shadow, dark.highlight, dark.contrast) == (7, 7, 0)
    white = measured(np.full((50, 50, 3), 255, np.uint8))
    assert (white.shadow, white.flatness, white.sharpness) == (255, 0, 0)
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(10, axis=1)
    found = measured(ramp)
    assert (found.shadow, found.highlight) == (1, 97)


def test_one_pixel_and_one_row_can_be_measured() -> None:
    for shape in ((1, 1, 3), (1, 500, 3), (900, 2, 3)):
        found = measured(np.zeros(shape, np.uint8))
        assert all(np.isfinite(value) for value in vars(found).values())


def test_the_size_of_a_photo_hardly_changes_what_is_measured() -> None:
    photo = scene(3, 192, 256)
    large = cv2.resize(photo, (1024, 768), interpolation=cv2.INTER_NEAREST)
    small, big = measured(photo), measured(large)
    assert abs(small.chroma_spread - big.chroma_spread) < 0.5
    assert abs(small.sharpness - big.sharpness) < 0.02


def test_shrinking_is_by_means_over_whole_pixels() -> None:
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6)
    assert shrink_whole(pixels, 2).tolist() == [[7, 10], [25, 28]]
    assert shrink_whole(pixels, 4) is pixels
