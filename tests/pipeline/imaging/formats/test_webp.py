"""WebP by its chunks."""

from __future__ import annotations

import io

import pytest
import skimage.data
from PIL import Image

from pipeline.imaging.formats import photo_file, webp

COFFEE = Image.fromarray(skimage.data.coffee()[:61, :83])


def saved(**options: object) -> bytes:
    stream = io.BytesIO()
    COFFEE.save(stream, "WEBP", **options)
    return stream.getvalue()


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("length", [0, 3, 9000, 9001])
def test_the_codec_is_told_behind_a_profile_of_any_size(lossless: bool, length: int) -> None:
    other = b"VP8 " if lossless else b"VP8L"
    file = saved(lossless=lossless, icc_profile=(other * 2251)[:length])
    assert webp.is_lossless(file) is lossless
    assert photo_file.open_file(file).read_page(0).own is lossless


@pytest.mark.parametrize("file", [b"", b"RIFF", saved()[:14]])
def test_a_file_without_a_picture_is_not_lossless(file: bytes) -> None:
    assert not webp.is_lossless(file)
