"""ICC profiles: what a photo's grays are in sRGB, and what sRGB's colors are in the photo.

Only 256 grays and the network's small picture go through a profile: no photo is converted at full
size, and a photo keeps the profile it came with.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.imaging import color
from pipeline.imaging.decode import RGB, Gray
from pipeline.imaging.srgb import is_srgb

_SRGB = ImageCms.createProfile("sRGB")


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
        converted = ImageCms.profileToProfile(
            ramp, source, ImageCms.ImageCmsProfile(_SRGB), outputMode="RGB"
        )
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
    icc = bytearray(ImageCms.ImageCmsProfile(_SRGB).tobytes())
    # ICC.1:2022, 7.2: the header's bytes 24 to 35 are the date of creation, which LittleCMS sets to
    # now, and 84 to 99 a checksum that may be zero.
    icc[24:36] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")
    icc[84:100] = bytes(16)
    return bytes(icc)


@functools.lru_cache(maxsize=16)
def _transform(icc: bytes, *, to_srgb: bool) -> ImageCms.ImageCmsTransform:
    srgb, own = (ImageCms.ImageCmsProfile(source) for source in (_SRGB, io.BytesIO(icc)))
    source, target = (own, srgb) if to_srgb else (srgb, own)
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(source, target, "RGB", "RGB", intent)


def _transformed(rgb: RGB, transform: ImageCms.ImageCmsTransform) -> RGB:
    converted = ImageCms.applyTransform(Image.fromarray(rgb), transform)
    if converted is None:
        raise ValueError("the ICC profile gave no picture")
    return np.asarray(converted)
