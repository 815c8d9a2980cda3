"""JPEG by its planes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image

from pipeline.imaging.decode import ImageError
from pipeline.imaging.formats import jpeg as jpeg_files
from pipeline.imaging.gray_photo import Tint, shrink

GRAY = skimage.data.camera()


def tint(color: tuple[float, float], gray: np.ndarray = GRAY) -> Tint:
    small = shrink(gray, (16, 16))
    differences = np.broadcast_to(np.array(color, np.float32), (16, 16, 2))
    return Tint(small, np.ascontiguousarray(differences), "guided")


def saved(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GRAY).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 95, 100])
def test_the_quality_of_libjpegs_own_tables_is_found_again(quality: int) -> None:
    segments = jpeg_files.read_segments(saved(quality=quality))
    assert jpeg_files.quality_of(segments) == quality


def test_strange_tables_get_a_quality_as_fine() -> None:
    segments = jpeg_files.read_segments(saved(qtables=[[7] * 64]))
    quality = jpeg_files.quality_of(segments)
    coarser = jpeg_files.read_segments(saved(quality=quality - 1))
    assert quality == jpeg_files.quality_of(jpeg_files.read_segments(saved(quality=quality)))
    assert sum(Image.open(io.BytesIO(saved(quality=quality - 1))).quantization[0]) > 7 * 64
    assert jpeg_files.quality_of(coarser) == quality - 1


def test_a_jpegs_luma_plane_goes_through_unchanged_but_for_rounding() -> None:
    file = saved(quality=80)
    gray = jpeg_files.decode_luma(file)
    again = jpeg_files.decode_luma(jpeg_files.encode(gray, tint((20, -20), gray), 80, []))
    assert np.abs(again.astype(int) - gray).mean() < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (17, 16), (16, 17), (301, 403)])
def test_odd_sizes_are_encoded_whole_and_the_same_every_time(shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    files = set()
    for count in range(6):
        # Other bytes in freed memory: what the encoder must not read.
        rubbish = [np.full(2000 + 3000 * count, 40 * count, np.uint8) for _ in range(50)]
        del rubbish
        files.add(jpeg_files.encode(gray.copy(), tint((20, -20)), 100, []))
    assert len(files) == 1
    decoded = np.asarray(Image.open(io.BytesIO(files.pop())).convert("L"))
    assert decoded.shape == shape
    assert np.abs(decoded.astype(int) - gray).max() <= 3


def test_chroma_planes_hold_the_colors() -> None:
    gray = np.full((60, 81), 128, np.uint8)
    cb, cr = jpeg_files.chroma_planes(gray, tint((14.02, -17.72), gray))
    assert cb.shape == cr.shape == (30, 41)
    assert np.all(cb == 118)
    assert np.all(cr == 138)


def test_a_decoder_clips_nothing_even_at_hard_edges() -> None:
    gray = np.zeros((64, 64), np.uint8)
    gray[:, 31:] = 255
    gray[20:40, 10:50] = 128
    file = jpeg_files.encode(gray, tint((120, 120), gray), 100, [])
    tones = np.asarray(Image.open(io.BytesIO(file)).convert("L")).astype(int)
    assert np.abs(tones - gray).max() <= 4


def test_a_long_profile_is_cut_and_put_together_again() -> None:
    icc = bytes(range(256)) * 700
    segments = jpeg_files.icc_segments(icc)
    assert len(segments) == 3
    assert jpeg_files.icc_of(segments) == icc
    assert jpeg_files.icc_of(segments[:2]) == icc[: 2 * 65_519]  # numbers complete, total ignored
    assert jpeg_files.icc_of(segments[1:]) is None


def test_the_head_keeps_what_describes_the_photo_and_leaves_what_describes_its_samples() -> None:
    segments = [
        jpeg_files.Segment(0xE1, b"Exif\0\0data"),
        jpeg_files.Segment(0xE2, b"MPF\0index"),
        jpeg_files.Segment(0xED, b"Photoshop 3.0\0"),
        jpeg_files.Segment(0xEE, b"Adobe\0"),
        jpeg_files.Segment(0xFE, b"a comment"),
        jpeg_files.Segment(0xDB, b"a table"),
    ]
    kept = jpeg_files.kept_segments(segments, None)
    assert [segment.marker for segment in kept] == [0xE1, 0xED, 0xFE]


@pytest.mark.parametrize("file", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\xd8abcd"])
def test_a_head_cut_off_is_an_error(file: bytes) -> None:
    with pytest.raises(ImageError):
        jpeg_files.read_segments(file)
