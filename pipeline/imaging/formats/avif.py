"""AVIF of 8 bits, which is what Pillow writes with everything that stands beside the pixels."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from pipeline.imaging.formats import pillow_file
from pipeline.imaging.formats.exif import HEAD
from pipeline.imaging.formats.page import Colored, PhotoFile
from pipeline.imaging.gray_photo import render

_QUALITY = 95


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open an AVIF photo; Pillow turns it as the file says.

    Raises:
        ImageError: it is damaged or too large.
    """
    return pillow_file.open_file(file, max_pixels)


def write(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write an AVIF, with chroma at full size."""
    (page, tint), *_ = pages
    stream = io.BytesIO()
    Image.fromarray(np.asarray(render(page.photo, tint), np.uint8)).save(
        stream,
        "AVIF",
        quality=_QUALITY,
        subsampling="4:4:4",
        exif=HEAD + page.metadata.exif if page.metadata.exif else b"",
        xmp=page.metadata.xmp or b"",
        icc_profile=page.metadata.icc or b"",
    )
    return stream.getvalue()
