import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from photos import scene
from PIL import Image

from pipeline.imaging.formats import plain_png as png


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (200, 200), (3, 400), (400, 900), (3, 21844)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_reader_gets_the_pixels_back(shape: tuple[int, int], channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    data = png.encode(pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(np.asarray(image), pixels)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(bgr if channels == 1 else bgr[..., ::-1], pixels)


def test_a_part_of_a_larger_array_is_encoded_right() -> None:
    part = scene(0)[10:50:2, 20:80:3]
    with Image.open(io.BytesIO(png.encode(part))) as image:
        assert np.array_equal(np.asarray(image), part)


def test_rgb_is_told_from_other_files() -> None:
    assert png.is_rgb(png.encode(scene(1)))
    assert not png.is_rgb(png.encode(scene(1)[..., 0]))
    for format_, mode in (("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB")):
        stream = io.BytesIO()
        Image.fromarray(scene(1)).convert(mode).save(stream, format_)
        assert not png.is_rgb(stream.getvalue())
    assert not png.is_rgb(b"")


def test_what_was_written_is_read_back_and_nothing_else() -> None:
    pixels = scene(2, 31, 47)
    data = png.encode(pixels)
    got = png.decode(data, 10_000)
    assert got is not None
    assert np.array_equal(got, pixels)
    assert png.decode(data, 31 * 47 - 1) is None
    assert png.decode(png.encode(pixels[..., 0]), 10_000) is None
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert png.decode(stream.getvalue(), 10_000) is None
    for cut in (1, 4, 12, 13, 100, len(data) - 30, len(data)):
        assert png.decode(data[:-cut], 10_000) is None


@pytest.mark.parametrize("level", [0, 255])
def test_the_checksum_is_zlib_s_of_extreme_pixels_too(level: int) -> None:
    pixels = np.full((700, 1100, 3), level, np.uint8)
    data = png.encode(pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(png.decode(data, 1_000_000), pixels)


def test_blocks_cut_elsewhere_are_left_to_other_readers() -> None:
    pixels = scene(4, 20, 20)
    rows = np.pad(pixels.reshape(20, 60), ((0, 0), (1, 0))).tobytes()
    stream = b"\x78\x01"
    for last, part in ((0, rows[:600]), (1, rows[600:])):
        stream += struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part
    stream += struct.pack(">I", zlib.adler32(rows))
    chunk = b"IDAT" + stream
    data = png.encode(pixels)[:33] + struct.pack(">I", len(stream)) + chunk
    data += struct.pack(">I", zlib.crc32(chunk)) + png.encode(pixels)[-12:]
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert png.decode(data, 10_000) is None


def test_a_file_without_pixels_is_left_to_other_readers() -> None:
    data = png.encode(scene(3, 20, 20))
    for body in (b"", data[33:40], data[33:49]):
        assert png.decode(data[:33] + body + data[-12:], 10_000) is None


def test_damage_where_blocks_meet_is_noticed() -> None:
    data = png.encode(scene(3, 200, 200))
    meet = 41 + 2 + 5 + 65535
    for place in range(meet - 3, meet + 8):
        damaged = bytearray(data)
        damaged[place] ^= 4
        assert png.decode(bytes(damaged), 100_000) is None


def test_damage_to_a_file_is_noticed() -> None:
    data = png.encode(scene(3, 20, 20))
    for place in [*range(60), *range(60, len(data), 97), *range(len(data) - 30, len(data))]:
        damaged = bytearray(data)
        damaged[place] ^= 4
        # Four bytes are checked by no one here: they repeat what the zlib stream's own four say.
        if not len(data) - 16 <= place < len(data) - 12:
            assert png.decode(bytes(damaged), 10_000) is None


def test_a_file_of_ours_is_told_from_others(tmp_path: Path) -> None:
    for name, pixels in (("rgb", scene(1)), ("gray", scene(2)[..., 0]), ("large", scene(3, 300))):
        path = tmp_path / f"{name}.png"
        path.write_bytes(png.encode(pixels))
        assert png.is_ours(path)
        assert not png.is_square_of_ours(path)
        Image.fromarray(pixels).save(path)
        assert not png.is_ours(path)
    square = tmp_path / "square.png"
    square.write_bytes(png.encode(scene(4, 40, 40)))
    assert png.is_square_of_ours(square)
    square.write_bytes(square.read_bytes()[:-1])
    assert not png.is_square_of_ours(square)
    for data in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"long enough for a picture's head" * 3,
    ):
        square.write_bytes(data)
        assert not png.is_square_of_ours(square)
    assert not png.is_ours(tmp_path / "none.png")
