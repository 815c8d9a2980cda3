import io
from pathlib import Path

import numpy as np
import pytest
from photos import pixels_of, real_photos, scene
from PIL import ExifTags, Image, ImageCms

from pipeline.images import ImageError, luma_of, open_photo, read_bytes, reading


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def opened(image: Image.Image, format_: str, **options: object) -> np.ndarray:
    return np.asarray(open_photo(encoded(image, format_, **options)).image)


def test_a_plain_photo_needs_no_change() -> None:
    path = real_photos(1)[0]
    photo = open_photo(path)
    assert (photo.format, photo.frames, photo.changes) == ("JPEG", 1, ())
    assert photo.size == photo.image.size
    assert np.array_equal(np.asarray(photo.image), pixels_of(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    upright = Image.fromarray(scene(1, 96, 160))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(encoded(stored, "PNG", exif=exif))
    assert np.array_equal(np.asarray(photo.image), np.asarray(upright))
    assert photo.size == (160, 96)
    assert photo.changes == (() if orientation == 1 else ("turned upright",))


def test_16_bit_gray_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    got = opened(Image.fromarray(ramp), "PNG")
    assert np.array_equal(got[..., 0], np.arange(256).reshape(16, 16))


def test_floating_point_gray_is_scaled_by_its_range() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    got = opened(Image.fromarray(ramp), "TIFF")
    assert np.array_equal(got[..., 0], np.arange(256).reshape(16, 16))


def test_transparency_shows_white_and_not_what_is_hidden() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:4, :, 3] = 255
    photo = open_photo(encoded(Image.fromarray(pixels), "PNG"))
    got = np.asarray(photo.image)
    assert (got[:4] == (200, 0, 0)).all()
    assert (got[4:] == 255).all()
    assert photo.changes == ("RGBA to RGB", "transparency on white")


def test_transparent_palette_colour_shows_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    got = opened(image, "GIF", transparency=1)
    assert (got == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_other_modes_keep_their_tones(mode: str) -> None:
    gray = Image.fromarray(np.repeat(np.uint8([[0], [255]]), 8, axis=1))
    got = opened(gray.convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(got, np.asarray(gray.convert("RGB")))


def test_cmyk_jpeg_of_adobe_is_not_a_negative() -> None:
    # Pillow writes CMYK JPEG the way Adobe does: inverted, with an Adobe marker.
    bright = Image.new("RGB", (16, 16), (250, 240, 200)).convert("CMYK")
    assert np.abs(opened(bright, "JPEG", quality=100).astype(int) - (250, 240, 200)).max() <= 6


def test_icc_profile_is_converted_to_srgb() -> None:
    image = Image.new("RGB", (8, 8), (128, 128, 128))
    photo = open_photo(encoded(image, "PNG", icc_profile=_linear_profile()))
    # Half of the light of linear RGB is 188 in sRGB (IEC 61966-2-1).
    assert abs(int(np.asarray(photo.image)[0, 0, 1]) - 188) <= 2
    assert photo.changes == ("ICC profile to sRGB",)


def _linear_profile() -> bytes:
    """sRGB's own profile with its three tone curves replaced by the identity (ICC.1, 10.6)."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = int.from_bytes(data[128:132], "big")
    entries = [128 + 4 + 12 * n for n in range(tags)]
    position = len(data)
    data += b"curv" + bytes(4) + bytes(4)  # a count of zero stands for the identity
    for entry in entries:
        if data[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            data[entry + 4 : entry + 12] = position.to_bytes(4, "big") + (12).to_bytes(4, "big")
        if data[entry : entry + 4] == b"desc":
            start = int.from_bytes(data[entry + 4 : entry + 8], "big")
            length = int.from_bytes(data[entry + 8 : entry + 12], "big")
            text = data[start : start + length]
            data[start : start + length] = text.replace(b"s\0R\0G\0B", b"t\0e\0s\0t").replace(
                b"sRGB", b"test"
            )
    data[0:4] = len(data).to_bytes(4, "big")
    return bytes(data)


def test_a_damaged_profile_is_passed_over() -> None:
    image = Image.fromarray(scene(2))
    photo = open_photo(encoded(image, "PNG", icc_profile=b"no profile"))
    assert np.array_equal(np.asarray(photo.image), np.asarray(image))


def test_frames_of_an_animation_are_counted_and_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    photo = open_photo(data)
    assert photo.frames == 3
    assert (np.asarray(photo.image) == (255, 0, 0)).all()


@pytest.mark.parametrize("at_least", [None, 64])
def test_a_truncated_jpeg_is_noticed_at_any_scale(at_least: int | None) -> None:
    data = encoded(Image.fromarray(scene(3, 600, 800)), "JPEG", quality=90)
    assert open_photo(data, at_least=at_least).size == (800, 600)
    for part in (0.3, 0.9):
        with pytest.raises(ImageError, match="damaged"):
            open_photo(data[: int(len(data) * part)], at_least=at_least)


def test_a_scaled_decode_keeps_the_asked_for_size_and_tells_the_whole() -> None:
    data = encoded(Image.fromarray(scene(4, 600, 800)), "JPEG", quality=95)
    photo = open_photo(data, at_least=128)
    assert photo.image.size == (200, 150)
    assert photo.size == (800, 600)
    whole = open_photo(data).image.resize((200, 150), Image.Resampling.BOX)
    assert np.abs(np.asarray(whole).astype(int) - np.asarray(photo.image)).mean() < 2


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    data = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    with pytest.raises(ImageError, match="10000x10000 is more than 1000000 pixels"):
        open_photo(data, max_pixels=1_000_000)


@pytest.mark.parametrize("data", [b"", b"<html>no photo</html>", b"\xff\xd8\xff\xe0 nothing"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        open_photo(data)


def test_formats_outside_the_list_are_not_parsed() -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        open_photo(encoded(Image.new("RGB", (8, 8)), "PPM"))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    for attempt in (open_photo, read_bytes):
        with pytest.raises(ImageError, match="the file is not there"):
            attempt(tmp_path / "none.jpg")


def test_an_error_of_the_caller_is_not_blamed_on_the_image() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        reading(encoded(Image.new("L", (8, 8)), "PNG")),
    ):
        raise ZeroDivisionError


def test_luma_is_that_of_pillow_and_of_color() -> None:
    from pipeline.color import luma

    pixels = scene(5)
    assert np.array_equal(luma_of(Image.fromarray(pixels)), luma(pixels))


def test_a_file_longer_than_it_says_is_read_to_its_end() -> None:
    # The system's own files have a size of 0.
    if (own := Path("/proc/self/status")).exists():
        assert read_bytes(own).startswith(b"Name:")


def test_a_decoded_photo_carries_no_metadata(tmp_path):
    path = tmp_path / "photo.jpg"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 30), "red").save(path, exif=exif, icc_profile=profile)
    assert open_photo(path).image.info == {}
