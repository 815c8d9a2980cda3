from __future__ import annotations

import pytest

from pipeline.download.rejections import describe
from pipeline.imaging.kinds import sniff


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no bytes"),
        (b"\n <!DOCTYPE html><title>", "an HTML page"),
        (b"<svg xmlns=", "SVG or other XML"),
        (b'{"error": 1}', "JSON"),
        (b"BMW is a company, which makes cars", "unknown bytes"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "unknown bytes"),
    ],
)
def test_data_that_is_no_photo_is_described(data: bytes, words: str) -> None:
    assert sniff(data) is None
    assert describe(data) == words
