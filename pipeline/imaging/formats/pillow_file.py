"""Files of the formats that Pillow reads whole: pixels, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from PIL import Image

from pipeline.imaging import color
from pipeline.imaging.color import Samples
from pipeline.imaging.decode import open_image, open_photo, wide_samples
from pipeline.imaging.errors import decoding
from pipeline.imaging.formats import exif, xmp
from pipeline.imaging.formats.page import Metadata, Page, PhotoFile, resolution
from pipeline.imaging.gray_photo import GrayPhoto, as_stored, from_image
from pipeline.imaging.icc import icc_for_colors, srgb_icc
from pipeline.imaging.kinds import BY_PILLOW


def beside_pixels(metadata: Metadata) -> dict[str, object]:
    """Return what stands beside the pixels as Pillow's writers of WebP and AVIF take it."""
    return {
        "exif": exif.HEAD + metadata.exif if metadata.exif else b"",
        "xmp": metadata.xmp or b"",
        "icc_profile": metadata.icc or b"",
    }


class Describe(Protocol):
    """Completes what Pillow tells of a file by what it does not."""

    def __call__(
        self, file: bytes, metadata: Metadata, *, color_space_stays: bool
    ) -> tuple[Metadata, object]:
        """Return the metadata, and what the format's writer takes over as it is."""


def open_file(
    file: bytes,
    max_pixels: int,
    *,
    bits: int | None = None,
    describe: Describe | None = None,
) -> PhotoFile:
    """Open a file by its head.

    Args:
        file: its content.
        max_pixels: more are refused.
        bits: of a sample; None is what Pillow's mode says.
        describe: what else there is to know about it.

    Raises:
        ImageError: it is damaged or too large.
    """
    image = open_image(file, max_pixels)
    kind = BY_PILLOW[str(image.format)]
    with decoding():
        count = int(getattr(image, "n_frames", 1)) if kind.sequence else 1
    if bits is None:
        bits = 16 if image.mode.startswith("I") else 8
    note = ""
    if count > 1 and bits > 8:
        note, bits = f"of the {bits} bits of its animation, 8 are read", 8

    def read_page(number: int) -> Page:
        with decoding():
            if number or count > 1:
                image.seek(number)
            image.load()
            page = _page_of(file, image, max_pixels, describe, is_deep=bits == 16)
            milliseconds = round(float(image.info.get("duration", 0))) if count > 1 else 0
            return replace(page, milliseconds=milliseconds)

    loops = image.info.get("loop", 1)
    return PhotoFile(
        kind,
        image.size,
        read_page,
        count,
        is_animated=count > 1,
        has_poster=bool(getattr(image, "default_image", False)),
        loops=int(loops) if isinstance(loops, int) else 0,
        bits=bits,
        note=note,
    )


def _page_of(
    file: bytes, image: Image.Image, max_pixels: int, describe: Describe | None, *, is_deep: bool
) -> Page:
    icc = bytes_of(image.info.get("icc_profile"))
    needed = icc_for_colors(icc)
    stays = icc is None or icc == needed
    exif_data = bytes_of(image.info.get("exif"))
    packet = bytes_of(image.info.get("xmp"))
    metadata = Metadata(
        exif=exif.without_thumbnail(exif_data.removeprefix(exif.HEAD)) if exif_data else None,
        xmp=xmp.without_old_pictures(packet) if packet else None,
        dpi=resolution(image.info.get("dpi")),
        comment=bytes_of(image.info.get("comment")),
    )
    if image.mode in UNUSUAL_MODES:
        photo = photo_in_srgb(file, max_pixels, exif.orientation_of(metadata.exif))
        needed, stays = srgb_icc() if icc else None, False
    else:
        photo = from_image(image)
        if is_deep and image.mode in {"RGB", "RGBA"}:
            photo = with_16_bits(photo, wide_samples(file))
    metadata = replace(metadata, icc=needed)
    own: object = None
    if describe is not None:
        metadata, own = describe(file, metadata, color_space_stays=stays)
    return Page(photo, metadata, own)


UNUSUAL_MODES = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
"""Modes that are rare, and none of which holds sRGB."""


def photo_in_srgb(file: bytes, max_pixels: int, orientation: int, page: int = 0) -> GrayPhoto:
    """Take a photo as the cleaning takes it, in sRGB and upright, and turn it back."""
    upright = GrayPhoto(color.luma(open_photo(file, max_pixels, page=page).pixels))
    return as_stored(upright, orientation)


def with_16_bits(
    photo: GrayPhoto, pixels: Samples | None, *, premultiplied: bool = False
) -> GrayPhoto:
    """Put tones of 16 bits, where they can be had, in the place of those of 8.

    Args:
        photo: with the 8 bits.
        pixels: (H, W, 3 or 4), blue first; None if there are none.
        premultiplied: whether colors were multiplied by their alpha.
    """
    if pixels is None or pixels.shape[:2] != photo.gray.shape:
        return photo
    gray: Samples = color.luma(pixels[..., 2::-1])
    alpha = None if photo.alpha is None or pixels.shape[2] < 4 else pixels[..., 3]
    if alpha is not None and premultiplied:
        gray = _straight(gray, alpha)
    if photo.alpha is not None and alpha is None:
        alpha = photo.alpha.astype(np.uint16) * np.uint16(257)
    return replace(photo, gray=gray, alpha=alpha)


def _straight(gray: Samples, alpha: Samples) -> Samples:
    """Return tones that were multiplied by ``alpha`` (H, W), both uint16, as they were before."""
    scale = np.float32(65_535) / np.maximum(alpha, 1)
    return np.asarray(np.minimum(np.rint(gray * scale), 65_535), np.uint16)


def bytes_of(value: object) -> bytes | None:
    """Return what Pillow tells of a file, as bytes; None if it tells nothing of use."""
    if isinstance(value, str):
        return value.encode("utf-8")
    return bytes(value) if isinstance(value, bytes | bytearray) and value else None
