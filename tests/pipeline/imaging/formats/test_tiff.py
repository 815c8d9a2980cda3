"""What TIFF alone can be, and Pillow cannot write, comes out as it was."""

from __future__ import annotations

import io

import numpy as np
from files import DEEP, GRAY, colorized, deep_pixels, opened, saved, tiff, tones
from PIL import Image
from predictors import Rainbow

from pipeline.imaging import color
from pipeline.imaging.formats import photo_file
from pipeline.inference.colorizer import Colorizer


def test_a_tiff_of_12_bits_is_as_light_as_it_was() -> None:
    samples = np.asarray(GRAY.crop((0, 0, 400, 300))).astype(np.uint32) * 4095 // 255
    result = deep_pixels(colorized(tiff(samples, bits=12)))
    gray = color.luma(np.ascontiguousarray(result[..., ::-1]))
    assert np.array_equal(gray, (samples * 65535 + 2047) // 4095)


def test_a_tiff_of_16_bits_that_counts_from_white_down_is_no_negative() -> None:
    result = deep_pixels(colorized(tiff(65535 - DEEP, t262=(0,))))
    assert np.array_equal(color.luma(np.ascontiguousarray(result[..., ::-1])), DEEP)
    picture = opened(tiff(65535 - DEEP, t262=(0,)))
    library = Colorizer(Rainbow())(picture)
    assert np.abs(np.asarray(library.convert("L")).astype(int) - (DEEP >> 8)).max() <= 1


def test_16_bits_that_are_stored_times_their_alpha_come_out_as_light_as_they_were() -> None:
    half = np.full_like(DEEP, 32768)
    stored = (DEEP.astype(np.uint32) * half // 65535).astype(np.uint16)
    result = colorized(tiff(np.dstack([stored, stored, stored, half]), t338=(1,)))
    pixels = deep_pixels(result)
    gray = color.luma(np.ascontiguousarray(pixels[..., 2::-1])).astype(int)
    assert np.abs(gray - DEEP).max() <= 2
    assert (pixels[..., 3] == 32768).all()
    assert opened(result).tag_v2[338] == (2,)


def test_exif_that_is_too_long_for_a_jpeg_loses_the_longest_and_not_all() -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, "the caption"
    tags[34377] = bytes(80_000)
    result = opened(colorized(saved(GRAY, "TIFF", exif=tags), "jpg"))
    assert (result.getexif()[0x0112], result.getexif()[0x010E]) == (6, "the caption")
    assert 34377 not in result.getexif()
    kept = opened(colorized(saved(GRAY, "TIFF", exif=tags), "tif"))
    assert len(kept.tag_v2[34377]) == 80_000


def test_a_scan_with_a_small_copy_of_itself_is_no_document() -> None:
    stream = io.BytesIO()
    GRAY.copy().save(stream, "TIFF", save_all=True, append_images=[GRAY.resize((100, 75))])
    document = bytearray(stream.getvalue())
    assert photo_file.open_file(bytes(document)).count == 2
    small = GRAY.resize((100, 75))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    stream = io.BytesIO()
    GRAY.copy().save(stream, "TIFF", save_all=True, append_images=[small])
    result = opened(colorized(stream.getvalue()))
    assert result.size == GRAY.size
    assert np.array_equal(tones(colorized(stream.getvalue())), np.asarray(GRAY))
