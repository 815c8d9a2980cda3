import io
import tracemalloc

import numpy as np
import pytest
from photos import scene
from PIL import Image, ImageCms

from pipeline.imaging.decode import open_photo
from pipeline.imaging.icc import is_srgb
from pipeline.imaging.srgb import gray_16, to_srgb


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def opened(image: Image.Image, format_: str, **options: object) -> np.ndarray:
    return open_photo(encoded(image, format_, **options)).pixels


def test_16_bit_gray_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    got = opened(Image.fromarray(ramp), "PNG")
    assert np.array_equal(got[..., 0], np.arange(256).reshape(16, 16))


def test_floating_point_gray_is_scaled_by_its_range() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    got = opened(Image.fromarray(ramp), "TIFF")
    assert np.array_equal(got[..., 0], np.arange(256).reshape(16, 16))


def test_icc_profile_is_converted_to_srgb() -> None:
    image = Image.new("RGB", (8, 8), (128, 128, 128))
    photo = open_photo(encoded(image, "PNG", icc_profile=_linear_profile()))
    # Half of the light of linear RGB is 188 in sRGB (IEC 61966-2-1).
    assert abs(int(np.asarray(photo.image)[0, 0, 1]) - 188) <= 2
    assert photo.changes == ("ICC profile to sRGB",)


def _linear_profile(*, renamed: bool = True) -> bytes:
    """sRGB's own profile with its three tone curves replaced by the identity (ICC.1, 10.6)."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = int.from_bytes(data[128:132], "big")
    entries = [128 + 4 + 12 * n for n in range(tags)]
    position = len(data)
    data += b"curv" + bytes(4) + bytes(4)  # a count of zero stands for the identity
    for entry in entries:
        if data[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            data[entry + 4 : entry + 12] = position.to_bytes(4, "big") + (12).to_bytes(4, "big")
        if data[entry : entry + 4] == b"desc" and renamed:
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


def test_a_profile_is_srgb_by_what_it_does_and_not_by_its_name() -> None:
    # GIMP's is called "GIMP built-in Linear sRGB"; this one keeps sRGB's own name.
    linear = _linear_profile(renamed=False)
    assert not is_srgb(linear)
    gray = Image.new("RGB", (8, 8), (128, 128, 128))
    photo = open_photo(encoded(gray, "PNG", icc_profile=linear))
    assert abs(int(photo.pixels[0, 0, 1]) - 188) <= 2
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = srgb.replace(b"s\0R\0G\0B", b"t\0e\0s\0t").replace(b"sRGB", b"test")
    assert is_srgb(srgb)
    assert renamed == srgb or is_srgb(renamed)
    assert not is_srgb(b"no profile")
    assert open_photo(encoded(gray, "PNG", icc_profile=renamed)).changes == ()


def test_large_16_bit_gray_takes_no_wide_copies() -> None:
    data = encoded(Image.fromarray(np.full((3000, 2000), 40_000, np.uint16)), "PNG")
    tracemalloc.start()
    assert (open_photo(data).pixels == round(40_000 / 257)).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Of samples in 64 bits there would be 8 bytes for each pixel several times.
    assert peak < 15 * 3000 * 2000


def test_a_few_samples_beyond_white_leave_the_rest_as_it_is() -> None:
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (64, 1))
    for odd, seen in ((1.0001, 255), (40.0, 255), (np.inf, 255), (-np.inf, 0), (np.nan, 0)):
        ramp[5, 7] = odd
        got = opened(Image.fromarray(ramp), "TIFF")[..., 0].copy()
        assert got[5, 7] == seen
        got[5, 7] = 7
        assert np.array_equal(got, np.tile(np.arange(256), (64, 1)))
    radiance = np.linspace(0, 1e6, 256, dtype=np.float32).reshape(16, 16)
    assert len(np.unique(opened(Image.fromarray(radiance), "TIFF"))) >= 255
    none = np.full((8, 8), np.nan, np.float32)
    assert not opened(Image.fromarray(none), "TIFF").any()
    large = Image.fromarray(np.array([[0, 32768], [65535, 65535]], np.int32))
    assert opened(large, "TIFF")[..., 0].tolist() == [[0, 128], [255, 255]]


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_gray_of_a_tiff_is_scaled_by_its_bits_and_counts_from_black(
    bits: int, white_is_zero: bool
) -> None:
    levels = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16)[None]
    image = Image.fromarray(levels)
    image.tag_v2 = {258: (bits,), 262: 0 if white_is_zero else 1}
    ramp = np.arange(256)[None, ::-1] if white_is_zero else np.arange(256)[None]
    assert np.abs(gray_16(image) / 257 - ramp).max() < 0.5
    assert np.abs(np.asarray(to_srgb(image, None, []))[..., 0].astype(int) - ramp).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_transparency_is_put_on_white(mode: str) -> None:
    plain = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    image = Image.new(plain, (2, 1), (0, 0) if plain == "LA" else (0, 0, 0, 0))
    image.putpixel((1, 0), (90, 255) if plain == "LA" else (90, 90, 90, 255))
    rgb = np.asarray(to_srgb(image.convert(mode), None, []))
    assert rgb.tolist() == [[[255] * 3, [90] * 3]]
