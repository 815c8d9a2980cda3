"""Colored pictures in a notebook."""

from __future__ import annotations

import base64
import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image
from predictors import Rainbow

from pipeline.imaging.icc import srgb_icc
from pipeline.inference.colored_image import LONGEST, ColoredImage
from pipeline.inference.colorizer import Colorizer

GRAY = Image.fromarray(np.linspace(0, 255, 900 * 600).reshape(600, 900).astype(np.uint8))


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_result_shows_itself_before_and_after(mode: str) -> None:
    colored = Colorizer(Rainbow())(GRAY.convert(mode))
    assert isinstance(colored, ColoredImage)
    html = colored._repr_html_()
    assert len(html) < 60_000
    pictures = shown_in(html)
    assert [picture.mode for picture in pictures] == ["L", "RGB"]
    assert max(pictures[0].size) == max(pictures[1].size) == LONGEST
    before, after = (np.asarray(picture.convert("L"), np.float32) for picture in pictures)
    assert np.abs(before - after).mean() < 2
    assert not re.search(r'(src|href)="(?!data:)', html)


def shown_in(html: str) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    ]


def test_what_is_transparent_is_shown_on_white() -> None:
    hidden = Image.new("LA", (40, 30), (60, 0))
    _, after = shown_in(Colorizer(Rainbow())(hidden)._repr_html_())
    assert np.asarray(after).min() > 250


def test_colors_are_shown_by_the_profile() -> None:
    colored = ColoredImage.of(Image.new("RGB", (40, 30), (200, 100, 50)))
    # Its red and green are exchanged.
    icc = bytearray(srgb_icc())
    red, green = icc.index(b"rXYZ"), icc.index(b"gXYZ")
    icc[red : red + 4], icc[green : green + 4] = b"gXYZ", b"rXYZ"
    colored.info["icc_profile"] = bytes(icc)
    _, after = shown_in(colored._repr_html_())
    assert np.abs(np.asarray(after)[15, 20].astype(int) - (100, 200, 50)).max() < 12


def test_a_result_is_an_image_like_any_other() -> None:
    colored = Colorizer(Rainbow())(GRAY)
    assert np.array_equal(pickle.loads(pickle.dumps(colored)), np.asarray(colored))
    assert type(colored.resize((30, 20))) is Image.Image
    stream = io.BytesIO()
    colored.save(stream, "PNG")
    assert np.array_equal(Image.open(stream), np.asarray(colored))
