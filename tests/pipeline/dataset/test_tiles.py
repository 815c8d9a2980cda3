import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from photos import scene
from PIL import Image

from pipeline.dataset.tiles import encode_tile, looks_like_tile, make_tile
from pipeline.params import ResizeParams


def test_modes_crop_stretch_and_pad() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, :100], wide[:, 100:200], wide[:, 200:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    crop = make_tile(wide, ResizeParams(size=50, mode="crop"))
    assert (crop == (0, 255, 0)).all()
    stretch = make_tile(wide, ResizeParams(size=60, mode="stretch"))
    assert (stretch[:, 2:18] == (255, 0, 0)).all()
    assert (stretch[:, 42:58] == (0, 0, 255)).all()
    pad = make_tile(wide, ResizeParams(size=60, mode="pad"))
    assert not pad[:20].any()
    assert not pad[40:].any()
    assert (pad[21:39, 22:38] == (0, 255, 0)).all()


def test_shrinking_averages_and_enlarging_is_smooth() -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = make_tile(np.dstack([checks] * 3), ResizeParams(size=100))
    assert np.abs(small.astype(int) - 127).max() <= 1
    tiny = scene(0, 64, 64)
    large = make_tile(tiny, ResizeParams(size=256))
    assert len(np.unique(large[..., 0])) > len(np.unique(tiny[..., 0])) // 2
    assert not np.array_equal(large[::4, ::4], large[1::4, 1::4])


def test_a_side_that_shrinks_while_the_other_grows_is_averaged() -> None:
    stripes = np.zeros((150, 2000, 3), np.uint8)
    stripes[:, ::10] = 250
    for photo in (stripes, stripes.transpose(1, 0, 2)):
        tile = make_tile(photo, ResizeParams(size=200, mode="stretch"))
        assert (tile == 25).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (200, 200), (400, 900)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_reader_gets_the_pixels_of_a_tile(shape: tuple[int, int], channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    data = encode_tile(pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(np.asarray(image), pixels)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(bgr if channels == 1 else bgr[..., ::-1], pixels)


def test_a_part_of_a_larger_picture_is_encoded_right() -> None:
    part = scene(0)[10:50:2, 20:80:3]
    for pixels in (part, part[..., 1]):
        with Image.open(io.BytesIO(encode_tile(pixels))) as image:
            assert np.array_equal(np.asarray(image), pixels)


def test_tiles_are_distinguished_from_other_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode_tile(scene(0, 40, 40)))
    assert looks_like_tile(path)
    path.write_bytes(encode_tile(scene(0, 40, 60)))
    assert not looks_like_tile(path)
    Image.fromarray(scene(0, 40, 40)).save(path)
    assert not looks_like_tile(path)
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"long enough for the head of a picture" * 3):
        path.write_bytes(data)
        assert not looks_like_tile(path)
    assert not looks_like_tile(tmp_path / "none.png")
