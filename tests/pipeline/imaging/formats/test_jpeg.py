"""JPEG by its planes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image

from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import jpeg, photo_file, photoshop
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
    segments = jpeg.read_segments(saved(quality=quality))
    assert jpeg.quality_of(segments) == quality


def test_strange_tables_get_a_quality_as_fine() -> None:
    segments = jpeg.read_segments(saved(qtables=[[7] * 64]))
    quality = jpeg.quality_of(segments)
    coarser = jpeg.read_segments(saved(quality=quality - 1))
    assert quality == jpeg.quality_of(jpeg.read_segments(saved(quality=quality)))
    assert sum(Image.open(io.BytesIO(saved(quality=quality - 1))).quantization[0]) > 7 * 64
    assert jpeg.quality_of(coarser) == quality - 1


def test_a_jpegs_luma_plane_goes_through_unchanged_but_for_rounding() -> None:
    file = saved(quality=80)
    gray, _ = jpeg.decode_luma(file)
    again, _ = jpeg.decode_luma(jpeg.encode(gray, tint((20, -20), gray), 80, []))
    assert np.abs(again.astype(int) - gray).mean() < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (17, 16), (16, 17), (301, 403)])
def test_odd_sizes_are_encoded_whole_and_the_same_every_time(shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    files = set()
    for count in range(6):
        # Other bytes in freed memory: what the encoder must not read.
        rubbish = [np.full(2000 + 3000 * count, 40 * count, np.uint8) for _ in range(50)]
        del rubbish
        files.add(jpeg.encode(gray.copy(), tint((20, -20)), 100, []))
    assert len(files) == 1
    decoded = np.asarray(Image.open(io.BytesIO(files.pop())).convert("L"))
    assert decoded.shape == shape
    assert np.abs(decoded.astype(int) - gray).max() <= 3


def test_chroma_planes_hold_the_colors() -> None:
    gray = np.full((60, 81), 128, np.uint8)
    cb, cr = jpeg.chroma_planes(gray, tint((14.02, -17.72), gray))
    assert cb.shape == cr.shape == (30, 41)
    assert np.all(cb == 118)
    assert np.all(cr == 138)


def test_a_decoder_clips_nothing_even_at_hard_edges() -> None:
    gray = np.zeros((64, 64), np.uint8)
    gray[:, 31:] = 255
    gray[20:40, 10:50] = 128
    file = jpeg.encode(gray, tint((120, 120), gray), 100, [])
    tones = np.asarray(Image.open(io.BytesIO(file)).convert("L")).astype(int)
    assert np.abs(tones - gray).max() <= 4


def test_a_long_profile_is_cut_and_put_together_again() -> None:
    icc = bytes(range(256)) * 700
    segments = jpeg.icc_segments(icc)
    assert len(segments) == 3
    assert jpeg.icc_of(segments) == icc
    assert jpeg.icc_of(segments[:2]) == icc[: 2 * 65_519]  # numbers complete, total ignored
    assert jpeg.icc_of(segments[1:]) is None


def test_the_head_keeps_what_tells_of_the_photo_alone() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    block = photoshop.joined(b"\x1c\x02\x78\0\1a", None)
    head = [
        jpeg.Segment(0xE0, b"JFXX\0\x10a thumbnail"),
        jpeg.Segment(0xE1, b"Exif\0\0data"),
        jpeg.Segment(0xE1, jpeg.XMP_HEAD + xmp),
        jpeg.Segment(0xE2, b"MPF\0index"),
        jpeg.Segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0a gain map's"),
        jpeg.Segment(0xED, photoshop.HEAD + block),
        jpeg.Segment(0xEE, b"Adobe\0"),
        jpeg.Segment(0xFE, b"a comment"),
        jpeg.Segment(0xEB, b"a maker's own"),
    ]
    plain = saved()
    joined = b"".join(
        b"\xff" + bytes([one.marker]) + (len(one.data) + 2).to_bytes(2, "big") + one.data
        for one in head
    )
    page = photo_file.open_file(plain[:2] + joined + plain[2:]).read_page(0)
    kept = jpeg.head_for(page.metadata, page.own)
    assert [one for one in kept if one.marker != 0xE0] == [head[n] for n in (1, 2, 5, 7, 8)]
    assert page.metadata.iptc == b"\x1c\x02\x78\0\1a"


@pytest.mark.parametrize("file", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\xd8abcd"])
def test_a_head_cut_off_is_an_error(file: bytes) -> None:
    with pytest.raises(ImageError):
        jpeg.read_segments(file)


@pytest.mark.parametrize("factors", [0x42, 0x31])
def test_unusual_sizes_of_chroma_are_read(factors: int) -> None:
    """Even gray, whose code is the same in each block; libjpeg writes no such sizes itself."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 16), (128, 128, 128)).save(stream, "JPEG", subsampling=0)
    file = bytearray(stream.getvalue())
    frame, scan = file.find(b"\xff\xc0"), file.find(b"\xff\xda")
    file[frame + 11] = factors
    across, down = factors >> 4, factors & 15
    blocks = -(-32 // (8 * across)) * -(-16 // (8 * down))
    bits = ("001010" * across * down + "0000" * 2) * blocks
    bits += "1" * (-len(bits) % 8)
    code = int(bits, 2).to_bytes(len(bits) // 8, "big")
    end = scan + 2 + int.from_bytes(file[scan + 2 : scan + 4], "big")
    page = photo_file.open_file(bytes(file[:end]) + code + b"\xff\xd9").read_page(0)
    assert page.photo.gray.shape == (16, 32)
    assert np.abs(page.photo.gray.astype(int) - 128).max() <= 1
    assert page.damage == ""
