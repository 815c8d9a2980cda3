import io

import numpy as np
import pytest
from photos import real_photos, scene
from PIL import Image

from pipeline.imaging.decode import ImageError, open_photo
from pipeline.imaging.formats import strict_jpeg


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_pillow(data: bytes, at_least: int | None) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("at_least", [None, 16, 50, 64, 100])
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0no TIFF header"], ids=["plain", "exif"])
@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 1, "progressive": True}, {"subsampling": 2}]
)
def test_pixels_are_those_of_pillow_at_any_size(
    at_least: int | None, exif: bytes, options: dict[str, object]
) -> None:
    for height, width in ((61, 97), (333, 640), (1001, 400)):
        data = encoded(scene(height, height, width), exif=exif, **options)
        assert (strict_jpeg.plain_size(data) == (width, height)) == (not exif)
        photo = open_photo(data, at_least=at_least, strict=True)
        assert photo.size == (width, height)
        assert np.array_equal(photo.pixels, by_pillow(data, at_least))


def cmyk(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


def test_a_plain_file_has_nothing_but_a_picture_in_ycbcr() -> None:
    photo = scene(1)
    assert strict_jpeg.plain_size(encoded(photo, comment=b"not the picture's")) == (160, 120)
    turned = Image.Exif()
    turned[0x0112] = 6
    for data in (
        encoded(photo, exif=turned),
        encoded(photo, icc_profile=b"a profile"),
        encoded(photo[..., 0]),
        cmyk(photo),
        b"",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff",
        b"not a JPEG at all",
    ):
        assert strict_jpeg.plain_size(data) is None
    assert open_photo(encoded(photo, exif=turned), strict=True).changes == ("turned upright",)


def test_the_limit_of_pixels_holds() -> None:
    with pytest.raises(ImageError, match="160x120 is more than 100 pixels"):
        open_photo(encoded(scene(4)), max_pixels=100, strict=True)


def test_real_photos_are_the_same_strictly_or_not() -> None:
    for path in real_photos(8):
        data = path.read_bytes()
        strict, other = open_photo(data, strict=True), open_photo(data)
        assert np.array_equal(strict.pixels, other.pixels)
        assert (strict.format, strict.frames, strict.changes) == ("JPEG", 1, ())


def test_gray_is_decoded_as_gray() -> None:
    pixels = scene(1)[..., 0]
    decoded = strict_jpeg.decode(encoded(pixels), "GRAY", (160, 120))
    assert np.array_equal(decoded, by_pillow(encoded(pixels), None)[..., 0])
    photo = open_photo(encoded(pixels), strict=True)
    assert photo.changes == ("L to RGB",)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_that_is_cut_anywhere_is_refused(progressive: bool) -> None:
    data = encoded(scene(2, 100, 130), progressive=progressive)
    for cut in [*range(1, 30), *range(30, len(data) - 2, 89)]:
        with pytest.raises(ImageError):
            open_photo(data[:-cut], at_least=64, strict=True)


def test_bytes_left_over_at_the_end_are_no_damage() -> None:
    data = encoded(scene(3))
    filled_up = data[:-2] + bytes(40) + data[-2:]
    assert np.array_equal(open_photo(filled_up, strict=True).pixels, by_pillow(data, None))
    other_bytes = data[:-2] + bytes(range(40)) + data[-2:]
    with pytest.raises(ImageError, match="extraneous bytes before marker"):
        open_photo(other_bytes, strict=True)
