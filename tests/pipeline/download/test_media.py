from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.download.media import describe, sniff
from pipeline.imaging.decode import EXTENSIONS


@pytest.mark.parametrize("format_", EXTENSIONS)
def test_every_format_is_recognized_by_its_signature(format_: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(stream, format_)
    media = sniff(stream.getvalue())
    assert media is not None
    assert media.extension == EXTENSIONS[format_]
    assert media.type == f"image/{format_.lower()}"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no bytes"),
        (b"\n <!DOCTYPE html><title>", "an HTML page"),
        (b"<svg xmlns=", "SVG or other XML"),
        (b'{"error": 1}', "JSON"),
        (b"\x00\x00\x00\x20ftypavif\x00", "AVIF or HEIC"),
        (b"BMW is a company, which makes cars", "unknown bytes"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "unknown bytes"),
    ],
)
def test_data_that_is_no_photo_is_described(data: bytes, words: str) -> None:
    assert sniff(data) is None
    assert describe(data) == words
