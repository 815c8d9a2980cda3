"""Gray values of a photo with a profile for gray stay, and look as before."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
from files import COLOR, DEEP, GRAY, colorized, opened, saved, wide_profile
from PIL import Image, ImageCms

from pipeline.imaging import color
from pipeline.imaging.formats import photo_file
from pipeline.imaging.icc import icc_for_colors, read_profile
from pipeline.imaging.kinds import FormatName

SRGB = ImageCms.createProfile("sRGB")


def gray_profile(curve: bytes, space: bytes = b"XYZ ") -> bytes:
    """A profile for gray with a tone curve (ICC.1:2001-04, version 2.4)."""
    white = struct.pack(">3i", *(round(value * 65_536) for value in (0.9642, 1, 0.8249)))
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, 5) + b"gray\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + white,
        b"kTRC": curve,
    }
    table, values = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(values), len(data))
        values += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4s4s4s4s4s", 132 + 12 * len(tags) + len(values), b"", b"\2\x40", b"mntr", b"GRAY", space
    )
    return head.ljust(36, b"\0") + b"acsp" + bytes(28) + white + bytes(48) + table + values


def gamma(exponent: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))


def table(*values: float) -> bytes:
    numbers = [round(value * 65_535) for value in values]
    return b"curv" + struct.pack(f">II{len(numbers)}H", 0, len(numbers), *numbers)


RAMP = np.linspace(0, 1, 256)
# A profile, and the light of a tone; of lightness (CIE 1976) where its curve leads to that.
PROFILES = {
    "linear": (gray_profile(gamma(1)), RAMP),
    "gamma 1.8": (gray_profile(gamma(1.8)), RAMP ** (round(1.8 * 256) / 256)),
    "gamma 2.2": (gray_profile(gamma(2.2)), RAMP ** (round(2.2 * 256) / 256)),
    "table": (
        gray_profile(table(0, 0.1, 0.3, 1)),
        np.interp(RAMP, [0, 1 / 3, 2 / 3, 1], [0, 0.1, 0.3, 1]),
    ),
    "lightness": (
        gray_profile(table(0, 1), b"Lab "),
        np.where(RAMP > 0.08, ((RAMP * 100 + 16) / 116) ** 3, RAMP * 100 / 903.3),
    ),
}


def through(profile: bytes, image: Image.Image) -> np.ndarray:
    seen = ImageCms.profileToProfile(image, io.BytesIO(profile), SRGB, outputMode="RGB")
    return np.asarray(seen).astype(int)


@pytest.mark.parametrize("name", PROFILES)
def test_tones_of_a_gray_profile_stay_and_look_as_they_should(name: str) -> None:
    profile, light = PROFILES[name]
    wanted = icc_for_colors(profile)
    assert icc_for_colors(wanted) == wanted
    seen = through(
        wanted, Image.fromarray(np.uint8(np.rint(RAMP * 255))[None, :, None].repeat(3, 2))
    )
    tones = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light) * 255
    assert np.abs(seen[0] - tones[:, None]).max() < (2 if name == "lightness" else 1)
    for format_ in ("PNG", "TIFF", "JPEG"):
        result = opened(colorized(saved(GRAY, format_, icc_profile=profile, **QUALITY[format_])))
        assert result.info["icc_profile"] == wanted
        kept = np.asarray(result.convert("L")).astype(int)
        assert np.abs(kept - np.asarray(GRAY)).mean() < (1 if format_ == "JPEG" else 1e-9)
    for format_ in ("PNG", "TIFF"):
        file = colorized(saved(Image.fromarray(DEEP), format_, icc_profile=profile))
        decode = imagecodecs.png_decode if format_ == "PNG" else imagecodecs.tiff_decode
        assert np.array_equal(color.luma(decode(file)), DEEP)
        assert opened(file).info["icc_profile"] == wanted


QUALITY: dict[str, dict[str, object]] = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 98}}


def test_colors_over_a_gray_profile_look_as_over_srgb() -> None:
    profile, _ = PROFILES["linear"]
    back = ImageCms.profileToProfile(
        COLOR, SRGB, ImageCms.ImageCmsProfile(io.BytesIO(icc_for_colors(profile)))
    )
    file = saved(back.convert("L"), "PNG", icc_profile=profile)
    result = opened(colorized(file))
    seen = through(result.info["icc_profile"], result)
    plain = Image.fromarray(
        through(icc_for_colors(profile), back.convert("L").convert("RGB")).astype(np.uint8)
    )
    expected = np.asarray(opened(colorized(saved(plain.convert("L"), "PNG")))).astype(int)
    stored = np.asarray(result).astype(int)
    assert np.abs(seen - expected).mean() < 0.3 * np.abs(stored - expected).mean()


@pytest.mark.parametrize("curve", [b"", b"curv", b"curv" + bytes(4) + b"\xff" * 8, b"none" * 5])
def test_a_damaged_curve_is_left_out(curve: bytes) -> None:
    profile = gray_profile(curve)
    result = opened(colorized(saved(GRAY, "PNG", icc_profile=profile)))
    assert np.array_equal(np.asarray(result.convert("L")), np.asarray(GRAY))
    assert "icc_profile" not in result.info
    assert read_profile(profile) is None


@pytest.mark.parametrize("extension", ["jxl", "ppm"])
@pytest.mark.parametrize("kind", ["gray", "RGB"])
@pytest.mark.parametrize("is_deep", [False, True])
def test_formats_that_say_srgb_get_it_with_all_bits(
    extension: FormatName, kind: str, is_deep: bool
) -> None:
    profile = PROFILES["gamma 1.8"][0] if kind == "gray" else wide_profile()
    picture = Image.fromarray(DEEP) if is_deep else GRAY
    file = saved(picture, "PNG", icc_profile=profile)
    own = imagecodecs.png_decode(colorized(file))
    result = colorized(file, extension)
    decode = imagecodecs.jpegxl_decode if extension == "jxl" else pnm
    shown = decode(result)
    assert shown.dtype == (np.uint16 if is_deep else np.uint8)
    scale = 257 if is_deep else 1
    seen = through(icc_for_colors(profile), Image.fromarray(np.uint8(np.rint(own / scale))))
    assert np.abs(shown / scale - seen).mean() < 1
    assert np.abs(own / scale - seen).mean() > 3


def pnm(file: bytes) -> np.ndarray:
    photo = photo_file.open_file(file)
    width, height = photo.size
    samples = np.frombuffer(
        file,
        ">u2" if photo.bits == 16 else "u1",
        offset=len(file) - width * height * 3 * photo.bits // 8,
    )
    return samples.reshape(height, width, 3).astype(f"u{photo.bits // 8}")
