import io

import numpy as np
import pytest
from photos import real_photos, scene
from PIL import Image

from pipeline.imaging.decode import ImageError, open_photo
from pipeline.imaging.formats import plain_jpeg


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def pillows(data: bytes, at_least: int | None) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("at_least", [None, 16, 50, 64, 100])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pixels_are_the_very_ones_of_pillow(
    at_least: int | None, progressive: bool, subsampling: int
) -> None:
    for height, width in ((61, 97), (333, 640), (1001, 400)):
        data = encoded(
            scene(height, height, width),
            progressive=progressive,
            subsampling=subsampling,
            comment=b"a comment is no hindrance",
        )
        head = plain_jpeg.read_head(data)
        assert head is not None
        assert head.size == (width, height)
        pixels = head.decode(at_least)
        assert pixels is not None
        assert np.array_equal(pixels, pillows(data, at_least))
        assert head.reduced(at_least) == (pixels.shape[1], pixels.shape[0])


def test_real_photos_come_out_the_same_either_way() -> None:
    for path in real_photos(8):
        data = path.read_bytes()
        photo = open_photo(data)
        assert np.array_equal(photo.pixels, pillows(data, None))
        assert (photo.format, photo.frames, photo.changes) == ("JPEG", 1, ())


def test_what_carries_more_than_pixels_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = scene(1)
    assert plain_jpeg.read_head(encoded(photo)) is not None
    for data in (
        encoded(photo, exif=exif),
        encoded(photo, icc_profile=b"a profile"),
        encoded(photo[..., 0]),
        _cmyk(photo),
        b"",
        b"\xff\xd8\xff\xe0",
        b"no JPEG at all",
    ):
        assert plain_jpeg.read_head(data) is None
    assert open_photo(encoded(photo, exif=exif)).changes == ("turned upright",)


def _cmyk(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_wherever_a_file_is_cut_it_is_noticed(progressive: bool) -> None:
    data = encoded(scene(2, 100, 130), progressive=progressive)
    for cut in [*range(1, 30), *range(30, len(data) - 2, 89)]:
        head = plain_jpeg.read_head(data[:-cut])
        assert head is None or head.decode(64) is None
        with pytest.raises(ImageError):
            open_photo(data[:-cut], at_least=64)


def test_damaged_data_are_never_taken_where_pillow_would_see_other_pixels() -> None:
    data = encoded(scene(3, 90, 120))
    draw = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[draw.integers(20, len(data))] = draw.integers(256)
        head = plain_jpeg.read_head(bytes(damaged))
        pixels = None if head is None else head.decode()
        if pixels is not None:
            assert np.array_equal(pixels, pillows(bytes(damaged), None))


def test_the_pixel_limit_holds_here_too() -> None:
    with pytest.raises(ImageError, match="is more than 100 pixels"):
        open_photo(encoded(scene(4)), max_pixels=100)
