"""A photo as the colorizer sees it: gray, transparency, which way is up; and the way back.

The pixels stay as they are stored, turned and in the photo's own color space: only the small
picture that the network sees is upright and sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from PIL import Image

from pipeline.imaging import color
from pipeline.imaging.color import Samples, to_8_bits
from pipeline.imaging.decode import Gray
from pipeline.imaging.icc import Profile, lab_to_srgb, read_profile
from pipeline.imaging.orientation import (
    by_exif_alone,
    lies_on_its_side,
    orientation_of,
    turned_back,
    turned_upright,
    valid,
)
from pipeline.imaging.srgb import gray_16, without_alpha
from pipeline.imaging.upsampling import Method, Upsampler, band_rows


@dataclass(frozen=True)
class GrayPhoto:
    """A photo's tones at full size."""

    gray: Samples
    """(H, W), uint8 or uint16: Rec. 601 luma of the stored samples."""
    alpha: Samples | None = None
    """(H, W), of the type of ``gray``: 0 is transparent."""
    orientation: int = 1
    """EXIF's number for how the stored picture is turned: 1 to 8."""
    profile: Profile | None = None
    """The color space of the stored samples; None is sRGB."""

    @property
    def upright_shape(self) -> tuple[int, int]:
        """Height and width as the photo is looked at."""
        height, width = self.gray.shape
        return (width, height) if lies_on_its_side(self.orientation) else (height, width)

    def in_8_bits(self) -> GrayPhoto:
        """Return the same photo with samples of 8 bits."""
        alpha = None if self.alpha is None else to_8_bits(self.alpha)
        return replace(self, gray=to_8_bits(self.gray), alpha=alpha)

    def on_white(self) -> GrayPhoto:
        """Return the same photo of 8 bits, put on white where it is transparent."""
        photo = self.in_8_bits()
        if photo.alpha is None:
            return photo
        opaque = cv2.multiply(photo.gray, photo.alpha, scale=1 / 255)
        gray = cv2.add(opaque, cv2.bitwise_not(photo.alpha))
        return replace(photo, gray=np.asarray(gray, np.uint8), alpha=None)

    def for_network(self, shape: tuple[int, int]) -> Gray:
        """Return the photo upright, in sRGB, on white where transparent, at ``shape``; uint8."""
        stored = shape[::-1] if lies_on_its_side(self.orientation) else shape
        small = shrink(np.asarray(self.on_white().gray, np.uint8), stored)
        if self.profile is not None:
            small = self.profile.grays[small]
        return turned_upright(small, self.orientation)


@dataclass(frozen=True)
class Tint:
    """A photo's colors at the network's size, in the photo's own orientation and color space."""

    gray: Gray
    """(h, w)."""
    differences: color.Float
    """(h, w, 2): R - Y and B - Y, on the scale of 255."""
    method: Method

    @property
    def mean_chroma(self) -> float:
        """How far its colors are from gray on average, on the scale of ``differences``."""
        return float(np.hypot(self.differences[..., 0], self.differences[..., 1]).mean())

    @classmethod
    def of(cls, photo: GrayPhoto, gray: Gray, ab: color.Float, method: Method) -> Tint:
        """Bring a prediction ``ab`` (h, w, 2) for ``gray`` (h, w) back to the photo as stored."""
        return cls.over(photo, gray, color.differences_over(gray, ab), method)

    @classmethod
    def over(cls, photo: GrayPhoto, gray: Gray, differences: color.Float, method: Method) -> Tint:
        """Do the same with R - Y and B - Y (h, w, 2) in sRGB in the place of a prediction."""
        if photo.profile is not None:
            own = photo.profile.from_srgb(color.merge(gray, differences))
            gray, differences = color.luma(own), color.differences_of(own)
        turned = photo.orientation
        return cls(turned_back(gray, turned), turned_back(differences, turned), method)

    def at(self, shape: tuple[int, int], full_scale: int = 255) -> Upsampler:
        """Return the colors at a height and width, on the scale of the samples they are for."""
        return Upsampler(self.gray, self.differences, shape, self.method, full_scale)


def from_image(image: Image.Image) -> GrayPhoto:
    """Take the tones of an image that Pillow has opened; its EXIF and ICC profile are heeded.

    An orientation in damaged EXIF counts as none. 16-bit gray keeps its bits; 32-bit and floating
    point samples are not taken.

    Raises:
        ValueError: the image has such samples, or no pixels.
    """
    if not image.width or not image.height:
        raise ValueError("the image has no pixels")
    # Pillow turns a TIFF upright when it is loaded, and only then forgets its orientation.
    with by_exif_alone(image):
        image.load()
    if image.mode in {"I", "F"}:
        raise ValueError(f"samples of mode {image.mode} have no defined white")
    orientation = orientation_of(image)
    icc = image.info.get("icc_profile")
    profile = read_profile(icc) if icc else None
    alpha: Samples | None = None
    if image.mode.startswith("I;16"):
        gray: Samples = gray_16(image)
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            alpha = np.where(gray == clear, np.uint16(0), np.uint16(65_535))
        return GrayPhoto(gray, alpha, orientation, profile)
    if image.mode == "LAB":
        image = lab_to_srgb(image)
        profile = None  # the samples are no longer the profile's
    image, opacity = without_alpha(image)
    alpha = None if opacity is None else np.asarray(opacity)
    return GrayPhoto(np.asarray(image.convert("L")), alpha, orientation, profile)


def of_array(pixels: Samples, orientation: object = 1, icc: bytes | None = None) -> GrayPhoto:
    """Take the tones of samples.

    Args:
        pixels: (H, W) or (H, W, 1 to 4), uint8 or uint16: gray, or R, G and B; the last of an even
            number of channels is alpha.
        orientation: EXIF's number for how they are turned.
        icc: their profile; None is sRGB.
    """
    profile = read_profile(icc) if icc else None
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    alpha = np.ascontiguousarray(pixels[..., -1]) if channels in {2, 4} else None
    if channels >= 3:
        gray: Samples = color.luma(pixels[..., :3])
    else:
        gray = cast(Samples, np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1)[..., 0]))
    return GrayPhoto(gray, cast("Samples | None", alpha), valid(orientation), profile)


def as_stored(upright: GrayPhoto, orientation: object) -> GrayPhoto:
    """Turn a photo that a decoder has turned upright back to how EXIF's ``orientation`` tells."""
    turned = valid(orientation)
    alpha = None if upright.alpha is None else turned_back(upright.alpha, turned)
    return replace(upright, gray=turned_back(upright.gray, turned), alpha=alpha, orientation=turned)


def render(photo: GrayPhoto, tint: Tint, order: tuple[int, int, int] = (0, 1, 2)) -> Samples:
    """Color a photo with its tones given back exactly, and its transparency.

    Args:
        photo: the tones.
        tint: the colors.
        order: where R, G and B go; OpenCV wants (2, 1, 0).

    Returns:
        (H, W, 3), or (H, W, 4) with alpha, of the type of ``photo.gray``.
    """
    height, width = photo.gray.shape
    upsampler = tint.at((height, width), int(np.iinfo(photo.gray.dtype).max))
    channels = 3 if photo.alpha is None else 4
    pixels: Samples = np.empty((height, width, channels), photo.gray.dtype)
    rows = band_rows(width)
    for top in range(0, height, rows):
        gray = photo.gray[top : top + rows]
        colors = color.merge_planes(gray, *upsampler.band(top, gray))
        for channel, place in enumerate(order):
            pixels[top : top + rows, :, place] = colors[..., channel]
    if photo.alpha is not None:
        pixels[..., 3] = photo.alpha
    return pixels


def displayed(photo: GrayPhoto, tint: Tint) -> Samples:
    """Color a photo as :func:`render` does, and bring it upright and to sRGB.

    So it has to be in a file that can tell neither how it is turned nor in which space it is.

    Raises:
        ImageError: as :meth:`Profile.to_srgb` says.
    """
    pixels = render(photo, tint)
    if photo.profile is not None:
        own = cast(Samples, np.ascontiguousarray(pixels[..., :3]))
        pixels[..., :3] = photo.profile.to_srgb(own)
    return turned_upright(pixels, photo.orientation)


def shrink(gray: Gray, shape: tuple[int, int]) -> Gray:
    """Bring ``gray`` (H, W) to ``shape`` by area averages; where that is larger, bilinearly."""
    height, width = shape
    # OpenCV averages by whole factors many times faster than by others: the last factor, of two or
    # more, is the exact one. The rest is at most a quarter of one pixel of the result, each side.
    factor = min(gray.shape[0] // (2 * height), gray.shape[1] // (2 * width))
    if factor > 1:
        rows, columns = gray.shape[0] // factor, gray.shape[1] // factor
        top, left = (gray.shape[0] - rows * factor) // 2, (gray.shape[1] - columns * factor) // 2
        inner = gray[top : top + rows * factor, left : left + columns * factor]
        gray = np.asarray(cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_AREA))
    shrinks = gray.shape[0] >= height and gray.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (width, height), interpolation=method), np.uint8)
