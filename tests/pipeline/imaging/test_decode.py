import io
import os
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from photos import pixels_of, real_photos, scene
from PIL import ExifTags, Image, ImageCms

from pipeline.imaging import decode as images
from pipeline.imaging.decode import (
    ImageError,
    luma_of,
    open_photo,
    orientation_of,
    read_bytes,
    reading,
)
from pipeline.imaging.formats import photo_file, png


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


def test_transparency_shows_white_and_not_what_is_hidden() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:4, :, 3] = 255
    photo = open_photo(encoded(Image.fromarray(pixels), "PNG"))
    got = np.asarray(photo.image)
    assert (got[:4] == (200, 0, 0)).all()
    assert (got[4:] == 255).all()
    assert photo.changes == ("RGBA to RGB", "transparency on white")


@pytest.mark.parametrize("bits", [10, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_white_of_a_jpeg_2000_of_more_than_8_bits_stays_white(bits: int, channels: int) -> None:
    pixels = scene(1, 96, 160)
    pixels[:16], pixels[16:32] = 255, 0
    wide = np.dstack([pixels] + [np.full(pixels.shape[:2], 255, np.uint8)] * (channels - 3))
    samples = (wide.astype(np.uint16) * 257) >> (16 - bits)
    photo = open_photo(
        imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, bitspersample=bits)
    )
    assert np.abs(photo.pixels.astype(int) - pixels).max() <= 1
    assert photo.format == "JPEG 2000"


def test_transparent_palette_color_shows_white() -> None:
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


def test_frames_of_an_animation_are_counted_and_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
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


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"<html>no photo</html>", "not an image of a known format"),
        (b"\xff\xd8\xff<html>no photo</html>", "damaged, or of a variant that is not read"),
        (
            encoded(Image.new("L", (64, 64)), "AVIF")[:-150],
            "damaged, or of a variant that is not read",
        ),
        (b"\xff\xd8\xff\xe0 nothing", "damaged (Truncated File Read)"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as refused:
        open_photo(data)
    assert str(refused.value) == reason


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_tone_of_few_bits_that_is_transparent_is(bits: int) -> None:
    white = (1 << bits) - 1
    tones = np.tile(np.arange(64) * white // 63, (48, 1)).astype(np.uint8)
    each = 8 // bits
    packed = np.zeros((48, 64 // each), np.uint8)
    for place in range(each):
        packed |= (tones[:, place::each] << (8 - bits * (place + 1))).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", 64, 48, bits, 0, 0, 0, 0)
    file = png.SIGNATURE + png.chunk(b"IHDR", head) + png.chunk(b"tRNS", struct.pack(">H", white))
    file += png.chunk(b"IDAT", zlib.compress(rows)) + png.chunk(b"IEND", b"")
    photo = photo_file.open_file(file).read_page(0).photo
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha == 0, tones == white)


def test_formats_outside_the_list_are_not_parsed() -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        open_photo(encoded(Image.new("RGB", (8, 8)), "SGI"))


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
    from pipeline.imaging.color import luma

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


def test_memory_that_runs_out_is_the_photo_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    for format_ in ("JPEG", "PNG", "BMP"):
        data = encoded(Image.fromarray(scene(1)), format_)
        with monkeypatch.context() as patch:
            patch.setattr(images, "to_srgb", fail)
            with pytest.raises(ImageError, match="memory ran out"):
                open_photo(data)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(ImageError, match="memory ran out"):
        read_bytes(path)


def test_more_pixels_than_pillow_opens_by_itself_are_a_matter_of_the_limit() -> None:
    data = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    with reading(data, 400_000_000) as image:
        assert image.size == (20_000, 20_000)
    with pytest.raises(ImageError, match="20000x20000 is more than 250000000 pixels"):
        open_photo(data)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "JPEG"])
def test_damaged_exif_leaves_a_photo_as_it_is(format_: str) -> None:
    data = encoded(Image.fromarray(scene(1)), format_, exif=b"Exif\0\0no TIFF header")
    with Image.open(io.BytesIO(data)) as image:
        assert orientation_of(image) == 1
    assert open_photo(data).changes == ()


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_tiff_that_pillow_turns_is_said_to_be_turned(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(encoded(Image.fromarray(scene(1, 40, 70)), "TIFF", exif=exif))
    assert photo.changes == ("turned upright",)
    assert photo.pixels.shape[1::-1] == photo.size == ((70, 40) if orientation == 3 else (40, 70))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    for path in (tmp_path / "x.jpg", tmp_path):
        for attempt in (read_bytes, open_photo):
            with pytest.raises(ImageError, match="no regular file"):
                attempt(path)


@pytest.mark.parametrize("level", [0, 6])
def test_a_png_damaged_within_is_refused(level: int) -> None:
    pixels = scene(1, 60, 80)
    data = encoded(Image.fromarray(pixels), "PNG", compress_level=level)
    assert np.array_equal(open_photo(data).pixels, pixels)
    for place in range(len(data) // 3, len(data) - 60, len(data) // 20):
        flipped = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        with pytest.raises(ImageError, match="damaged"):
            open_photo(flipped)


def damaged(data: bytes) -> list[bytes]:
    """A JPEG cut and closed again, with a hole, and with other bytes in its middle."""
    half = len(data) // 2
    noise = np.random.default_rng(0).integers(0, 254, 2000, np.uint8).tobytes()
    return [
        data[: int(len(data) * 0.6)] + b"\xff\xd9",
        data[:half] + bytes(600) + data[half + 600 :],
        data[:half] + noise + data[half + 2000 :],
    ]


def with_exif(**options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(scene(1, 300, 400)), "JPEG", exif=exif, **options)


@pytest.mark.parametrize("kind", ["plain", "exif", "progressive", "gray", "cmyk"])
def test_a_jpeg_damaged_within_is_refused_where_that_is_asked_for(kind: str) -> None:
    picture = Image.fromarray(scene(1, 300, 400))
    if kind in {"gray", "cmyk"}:
        data = encoded(picture.convert({"gray": "L", "cmyk": "CMYK"}[kind]), "JPEG", quality=90)
    else:
        data = with_exif() if kind == "exif" else encoded(picture, "JPEG", quality=90)
        if kind == "progressive":
            data = with_exif(progressive=True)
    for at_least in (None, 100):
        whole = open_photo(data, at_least=at_least, strict=True)
        assert np.array_equal(whole.pixels, open_photo(data, at_least=at_least).pixels)
        broken = damaged(data)[:1] if kind == "progressive" else damaged(data)
        for each in broken:
            with pytest.raises(ImageError, match="damaged"):
                open_photo(each, at_least=at_least, strict=True)
    assert open_photo(damaged(data)[0]).size == whole.size


def test_filling_bytes_at_the_end_of_a_jpeg_are_no_damage() -> None:
    for data in (encoded(Image.fromarray(scene(1)), "JPEG"), with_exif()):
        for filling in (bytes(200), b"\x5a\x01\x02"):
            filled = data[:-2] + filling + data[-2:]
            assert np.array_equal(open_photo(filled, strict=True).pixels, open_photo(data).pixels)
