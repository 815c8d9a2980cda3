"""AVIF: read with all its bits; written with 8, by Pillow, with what stands beside the pixels.

Animations are read, with 8 bits, and written as WebP.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL import Image

from pipeline.imaging.codecs import checked, needs_formats
from pipeline.imaging.color import to_16_bits
from pipeline.imaging.errors import decoding
from pipeline.imaging.formats import pillow_file
from pipeline.imaging.formats.page import Colored, Page, PhotoFile
from pipeline.imaging.gray_photo import of_array, render

_QUALITY = 98


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open an AVIF photo or animation; it is turned as the file says.

    Raises:
        ImageError: it is damaged or too large, or has more than 8 bits and the extra ``formats`` is
            not installed.
    """
    bits = _bits_of(file)
    opened = pillow_file.open_file(file, max_pixels, bits=bits)
    if opened.is_animated:
        return opened

    def read_page(number: int) -> Page:
        page = opened.read_page(number)
        if bits == 8:
            return page
        with needs_formats("AVIF with more than 8 bits"):
            import imagecodecs
        with decoding():
            pixels = to_16_bits(checked(imagecodecs.avif_decode(file)), (1 << bits) - 1)
        photo = page.photo
        if pixels.shape[:2] != photo.gray.shape:
            return page
        return replace(page, photo=of_array(pixels, photo.orientation, page.metadata.icc))

    return replace(opened, read_page=read_page)


def _bits_of(file: bytes) -> int:
    """Return the bits of a sample, from the codec's configuration (AV1 in ISOBMFF 1.2.0, 2.3.3)."""
    at = file.find(b"av1C")
    flags = file[at + 6] if 0 < at < len(file) - 6 else 0
    if not flags & 0x40:
        return 8
    return 12 if flags & 0x20 else 10


def write(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write an AVIF, with chroma at full size."""
    (page, tint), *_ = pages
    stream = io.BytesIO()
    Image.fromarray(np.asarray(render(page.photo, tint), np.uint8)).save(
        stream,
        "AVIF",
        quality=_QUALITY,
        subsampling="4:4:4",
        **pillow_file.beside_pixels(page.metadata),
    )
    return stream.getvalue()
