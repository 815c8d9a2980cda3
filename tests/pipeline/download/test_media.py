from __future__ import annotations

import pytest

from pipeline.download.media import MEDIA_TYPES, describe
from pipeline.imaging.kinds import sniff


def test_the_media_types_of_common_photos_are_known() -> None:
    assert {"image/jpeg", "image/png", "image/tiff", "image/heic", "image/avif"} <= set(MEDIA_TYPES)


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
