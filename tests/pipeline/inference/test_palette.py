"""Colors that are offered for a place."""

from __future__ import annotations

import numpy as np
import skimage.data

from pipeline.imaging import color
from pipeline.inference.palette import COMMON, at_tone, likely_colors

PHOTO = skimage.data.astronaut()


def luma_of(text: str) -> int:
    return int(color.luma(np.array([[list(bytes.fromhex(text[1:]))]], np.uint8))[0, 0])


def test_all_have_the_tone_of_the_place_and_the_first_is_its_color() -> None:
    for x, y in ((20, 30), (250, 150), (300, 400)):
        tone = int(color.luma(PHOTO)[y, x])
        offered = likely_colors(PHOTO, x, y)
        assert {luma_of(each) for _, each in offered} == {tone}
        assert offered[0][0] == "as it is"
        first = np.array(list(bytes.fromhex(offered[0][1][1:])))
        assert np.abs(first - PHOTO[y, x]).max() <= 3
        assert len({each for _, each in offered}) == len(offered)


def test_a_photo_that_is_hardly_more_than_a_line_has_colors() -> None:
    for shape in ((1, 1024, 3), (1024, 2, 3)):
        assert likely_colors(np.full(shape, 128, np.uint8), 0, 0)


def test_a_photo_of_few_pixels_has_common_colors() -> None:
    offered = likely_colors(np.full((1, 1, 3), 128, np.uint8), 0, 0)
    assert "skin" in {name for name, _ in offered}
    assert len(offered) == len(COMMON)  # its own gray is one of them


def test_black_and_white_have_one_color() -> None:
    assert at_tone(COMMON["red"], 0) == "#000000"
    assert at_tone(COMMON["red"], 255) == "#ffffff"
