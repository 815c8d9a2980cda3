"""ICC profiles: all that goes from a photo's own color space to sRGB and back.

A photo that is colored keeps the profile it came with: only 256 grays and the network's small
picture go through it. A photo to learn from is converted whole (:func:`through_profile`).
"""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from pipeline.imaging import color
from pipeline.imaging.codecs import converted_16
from pipeline.imaging.color import RGB, Gray, Samples

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


@dataclass(frozen=True)
class Profile:
    """A usable ICC profile other than sRGB."""

    icc: bytes
    """The profile's file: of RGB, also where the photo's own is of gray."""
    grays: Gray
    """(256,): the sRGB gray that each neutral value of the photo stands for."""

    def from_srgb(self, rgb: RGB) -> RGB:
        """Convert sRGB (H, W, 3) to the profile's own R, G and B."""
        return _transformed(rgb, _transform(self.icc, to_srgb=False))

    def to_srgb(self, rgb: Samples) -> Samples:
        """Convert the profile's own R, G and B (H, W, 3) to sRGB, with as many bits.

        Raises:
            ImageError: there are 16, and the extra ``formats`` is not installed.
        """
        if rgb.dtype == np.uint8:
            own = rgb.astype(np.uint8, copy=False)
            return _transformed(own, _transform(self.icc, to_srgb=True))
        return converted_16(rgb, self.icc, srgb_icc())


@functools.lru_cache(maxsize=16)
def read_profile(icc: bytes) -> Profile | None:
    """Read an ICC profile; None when it is sRGB, or damaged, or of neither gray nor RGB."""
    own = icc_for_colors(icc)
    if own is None or is_srgb(own):
        return None
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2))
    try:
        _transform(own, to_srgb=False)
        source = ImageCms.ImageCmsProfile(io.BytesIO(own))
        converted = ImageCms.profileToProfile(ramp, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if converted is None else Profile(own, color.luma(np.asarray(converted))[0])


@functools.lru_cache(maxsize=16)
def icc_for_colors(icc: bytes | None) -> bytes | None:
    """Return the profile that a photo with profile ``icc`` needs once it has colors.

    A profile for RGB stays. In the place of one for gray comes sRGB's with its tone curve, so that
    gray values stay and look as before. In the place of one for CMYK comes sRGB's, to which such
    photos are brought. A damaged one is left out, and none stays none.
    """
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if space == "GRAY":
            made = _with_curve(_curve_of(icc, profile))
            _transform(made, to_srgb=False)
            return made
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return icc if space == "RGB" else srgb_icc()


def _curve_of(icc: bytes, profile: ImageCms.ImageCmsProfile) -> bytes:
    """Return the tone curve of a profile for gray: its own, or that of what LittleCMS makes of it.

    Raises:
        ValueError: there is none.
    """
    tags = {name: icc[start : start + length] for name, start, length in _tags_of(icc)}
    own = tags.get(b"kTRC")
    if own and b"A2B0" not in tags and profile.profile.connection_space.strip() == "XYZ":
        return own
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    converted = ImageCms.profileToProfile(ramp, profile, _SRGB, outputMode="RGB")
    if converted is None:
        raise ValueError("the ICC profile gave no picture")
    light = np.rint(color.light_of_luma(color.luma(np.asarray(converted))) * 65_535)
    return b"curv" + struct.pack(">II", 0, light.size) + light.astype(">u2").tobytes()


def _with_curve(curve: bytes) -> bytes:
    """Return sRGB's profile with another tone curve and name (ICC.1:2022, 7.3 and 10.15)."""
    text = "sRGB with a tone curve of gray".encode("utf-16-be")
    name = b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(text), 28) + text
    made = bytearray(srgb_icc())
    for number, (tag, _, _) in enumerate(_tags_of(bytes(made))):
        data = curve if tag in {b"rTRC", b"gTRC", b"bTRC"} else name if tag == b"desc" else None
        if data is not None:
            struct.pack_into(">II", made, 136 + 12 * number, len(made), len(data))
            made += data + bytes(-len(data) % 4)
    struct.pack_into(">I", made, 0, len(made))
    return bytes(made)


def _tags_of(icc: bytes) -> list[tuple[bytes, int, int]]:
    """Return name, place and length of each tag of a profile that LittleCMS has opened."""
    (count,) = struct.unpack_from(">I", icc, 128)
    return [struct.unpack_from(">4sII", icc, 132 + 12 * number) for number in range(count)]


@functools.lru_cache(maxsize=1)
def srgb_icc() -> bytes:
    """Return sRGB's profile, the same bytes every time."""
    icc = bytearray(_SRGB.tobytes())
    # ICC.1:2022, 7.2: the header's bytes 24 to 35 are the date of creation, which LittleCMS sets to
    # now, and 84 to 99 a checksum that may be zero.
    icc[24:36] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")
    icc[84:100] = bytes(16)
    return bytes(icc)


@functools.lru_cache(maxsize=16)
def _transform(icc: bytes, *, to_srgb: bool) -> ImageCms.ImageCmsTransform:
    own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    source, target = (own, _SRGB) if to_srgb else (_SRGB, own)
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(source, target, "RGB", "RGB", intent)


def _transformed(rgb: RGB, transform: ImageCms.ImageCmsTransform) -> RGB:
    converted = ImageCms.applyTransform(Image.fromarray(rgb), transform)
    if converted is None:
        raise ValueError("the ICC profile gave no picture")
    return np.asarray(converted)


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image of mode LAB to sRGB."""
    return ImageCms.profileToProfile(image, _LAB, _SRGB, outputMode="RGB") or image


def through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert by an embedded ICC profile; None when the profile is damaged, not ours or is sRGB."""
    if image.mode == "RGB" and is_srgb(profile):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile leaves RGB colors as sRGB has them, within two levels.

    By what it does: linear profiles are called "linear sRGB", and true ones have other names.
    """
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    ramp = np.concatenate([colors, grays])[None]
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(Image.fromarray(ramp), source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return made is not None and int(np.abs(np.asarray(made, np.int16) - ramp).max()) <= 2
