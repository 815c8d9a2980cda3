"""Pictures on pages."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.pages.rendering import LONGEST, picture


def decoded(uri: str) -> Image.Image:
    head, _, content = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50), (50, 100)), ((400, 600), (LONGEST, 171)), ((3000, 4), (1, LONGEST))],
)
def test_a_picture_is_made_smaller_but_never_larger(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert decoded(picture(np.zeros((*shape, 3), np.uint8))).size == expected


def test_a_picture_looks_as_the_photo_does() -> None:
    photo = data.coffee()[:200, :200]
    shown = np.asarray(decoded(picture(photo)))
    assert np.abs(shown.astype(int) - photo).mean() < 5
    gray = decoded(picture(photo[..., 1]))
    assert gray.mode == "L"
