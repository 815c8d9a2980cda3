"""ICC profiles: all that goes from a photo's own color space to sRGB and back.

A photo that is colored keeps the profile it came with: only 256 grays and the network's small
picture go through it. A photo to learn from is converted whole (:func:`through_profile`).
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.imaging import color
from pipeline.imaging.color import RGB, Gray

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


@dataclass(frozen=True)
class Profile:
    """A usable ICC profile other than sRGB."""

    icc: bytes
    """The profile's file."""
    grays: Gray
    """(256,): the sRGB gray that each neutral value of the photo stands for."""
    is_gray: bool
    """Whether it has one channel only, so that colors need another profile: sRGB's."""

    def from_srgb(self, rgb: RGB) -> RGB:
        """Convert sRGB (H, W, 3) to the profile's own R, G and B."""
        return _transformed(rgb, _transform(self.icc, to_srgb=False))

    def to_srgb(self, rgb: RGB) -> RGB:
        """Convert the profile's own R, G and B (H, W, 3) to sRGB."""
        return _transformed(rgb, _transform(self.icc, to_srgb=True))


@functools.lru_cache(maxsize=16)
def read_profile(icc: bytes) -> Profile | None:
    """Read an ICC profile; None when it is sRGB, or damaged, or of neither gray nor RGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = source.profile.xcolor_space.strip()
        if space == "GRAY":
            ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        elif space == "RGB":
            if is_srgb(icc):
                return None
            ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2))
            _transform(icc, to_srgb=False)
        else:
            return None
        converted = ImageCms.profileToProfile(ramp, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if converted is None:
        return None
    return Profile(icc, color.luma(np.asarray(converted))[0], space == "GRAY")


def icc_for_colors(icc: bytes | None) -> bytes | None:
    """Return the profile that a photo with profile ``icc`` needs once it has colors.

    A profile for RGB stays; in the place of one for gray or CMYK comes sRGB's, to which such photos
    are brought; a damaged one is left out, and none stays none.
    """
    if not icc:
        return None
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return icc if space == "RGB" else srgb_icc()


def grays_16(grays: Gray) -> NDArray[np.uint16]:
    """Bring a table of 256 grays to one of 65,536, linear in between."""
    table = np.interp(np.arange(65536) / 257, np.arange(256), grays.astype(np.float64) * 257)
    return np.rint(table).astype(np.uint16)


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
