"""Samples of any kind, as Pillow has them, to 8-bit RGB in sRGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging.color import to_8_bits, to_16_bits
from pipeline.imaging.icc import lab_to_srgb, through_profile


def to_srgb(image: Image.Image, profile: bytes | None, changes: list[str]) -> Image.Image:
    """Convert any mode to RGB in sRGB, transparency on white; note what was done in ``changes``."""
    if image.mode == "RGB" and not profile and "transparency" not in image.info:
        return image
    if image.mode != "RGB":
        changes.append(f"{image.mode} to RGB")
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        # Pillow alone would clip at 255.
        image = Image.fromarray(to_8_bits(gray_16(image)))
    elif image.mode == "LAB":
        image = lab_to_srgb(image)
    image, alpha = without_alpha(image)
    if profile and image.mode in {"RGB", "L", "CMYK"}:
        converted = through_profile(image, profile)
        if converted is not None:
            changes.append("ICC profile to sRGB")
            image = converted
    image = image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        changes.append("transparency on white")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    return image


def without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return an image in a mode without transparency and palette, and its alpha if it has one."""
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no other way from there
    if image.mode in {"RGBA", "LA", "PA", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        return image.convert("RGB"), image.getchannel("A")
    return (image.convert("RGB") if image.mode == "P" else image), None


def gray_16(image: Image.Image) -> NDArray[np.uint16]:
    """Return the samples (H, W) of an image of mode I;16, I or F: 0 is black and 65535 white.

    Pillow gives those of a TIFF as they are, also where they have 12 bits or count from white down.
    """
    tags = getattr(image, "tag_v2", {})
    (bits, *_), white_is_zero = tags.get(BITS_PER_SAMPLE, (16,)), tags.get(PHOTOMETRIC, 1) == 0
    if image.mode in {"I", "F"}:
        samples = _scaled_to_16_bits(image)
    else:
        samples = np.asarray(image).astype(np.uint16, copy=False)
        if 0 < bits < 16:
            samples = to_16_bits(samples, (1 << bits) - 1)
    return np.invert(samples) if white_is_zero else samples


BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of TIFF 6.0, section 8."""


def _scaled_to_16_bits(image: Image.Image) -> NDArray[np.uint16]:
    """Scale gray of 32 bits or floating point by what stands for white."""
    samples = np.asarray(image)
    # Pillow has brought the samples of a PGM, whose head names white, to 16 bits.
    white = 65535.0 if image.format == "PPM" and image.mode == "I" else _white_of(samples)
    scaled = np.empty(samples.shape, np.uint16)
    # In blocks: the whole of a large photo in wider numbers would take gigabytes.
    rows = max(1, _BLOCK // max(1, samples.shape[1]))
    for top in range(0, len(samples), rows):
        block = samples[top : top + rows].astype(np.float32)
        numbers = np.nan_to_num(block, nan=0, posinf=white, neginf=0)
        levels = np.rint(numbers * np.float32(65535 / white))
        scaled[top : top + rows] = np.clip(levels, 0, 65535).astype(np.uint16)
    return scaled


_BLOCK = 1 << 20
"""Samples that are scaled at a time."""


def _white_of(samples: NDArray[Any]) -> float:
    """Return the number that stands for white: 1, 255, 65535 or what is largest, if it is more.

    Sharpening, and resampling with it, make single floating point samples larger than white.
    """
    flat = samples.ravel()
    if samples.dtype.kind == "f":
        some = flat[:: len(flat) // _BLOCK + 1]
        finite = some[np.isfinite(some)]
        # Of a thousand samples one may be any number, and all a little more than white.
        largest = float(np.quantile(finite, 0.999, method="lower")) if finite.size else 1.0
        excess = 1.02
    else:
        largest, excess = float(flat.max(initial=0)), 1.0
    return next((white for white in (1.0, 255.0, 65535.0) if largest <= white * excess), largest)
