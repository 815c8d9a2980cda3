"""HEIC, as phones store photos: 8, 10 and 12 bits, several pictures, EXIF and XMP.

libheif reads and writes it (pillow-heif, of the extra ``formats``). It applies a file's rotations
and crops, and writes the rotation that EXIF names.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from pipeline.imaging.codecs import needs_formats, open_with_codec
from pipeline.imaging.formats import exif, xmp
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile
from pipeline.imaging.gray_photo import as_stored, of_array, render
from pipeline.imaging.icc import icc_for_colors, srgb_icc
from pipeline.imaging.kinds import BY_NAME

_QUALITY = 95
"""With chroma at full size, tones come within a level of what they were."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a HEIC file; depth maps, gain maps and thumbnails in it are left out.

    Raises:
        ImageError: it is damaged or too large, or the extra is not installed.
    """
    kind = BY_NAME["heic"]
    opened = open_with_codec(file, kind, max_pixels)

    def read_page(number: int) -> Page:
        decoded = opened.decode(number)
        data = decoded.exif.removeprefix(exif.HEAD) if decoded.exif else None
        photo = of_array(decoded.pixels, 1, decoded.icc)
        metadata = Metadata(
            exif=exif.without_thumbnail(data) if data else None,
            xmp=xmp.without_old_pictures(decoded.xmp) if decoded.xmp else None,
            icc=icc_for_colors(decoded.icc),
        )
        return Page(as_stored(photo, exif.orientation_of(data)), metadata)

    return PhotoFile(kind, opened.size, read_page, opened.pages, bits=opened.bits)


def write(file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a HEIC of 8 or 10 bits, or of 12 if it had as many, with all pages.

    Raises:
        ImageError: the extra is not installed.
    """
    with needs_formats("HEIC"):
        import pillow_heif
    images: Any = cast(Any, pillow_heif).HeifFile()
    first = Metadata()
    for number, (page, tint) in enumerate(pages):
        pixels = render(page.photo, tint)
        mode = "RGBA" if pixels.shape[2] == 4 else "RGB"
        if pixels.dtype == np.uint16:
            mode += ";16"
        size = (pixels.shape[1], pixels.shape[0])
        image = images.add_frombytes(mode, size, np.ascontiguousarray(pixels).tobytes())
        image.info["bit_depth"] = 12 if file.bits == 12 else 10
        # The encoder would also turn by what only XMP states.
        data = page.metadata if page.photo.orientation > 1 else page.metadata.upright()
        image.info["exif"] = exif.HEAD + data.exif if data.exif else None
        image.info["xmp"] = data.xmp or None
        icc = data.icc or (srgb_icc() if page.photo.profile else None)
        if icc:
            image.info["icc_profile"] = icc
            image.info["icc_profile_type"] = "prof"
        if not number:
            first = data
    stream = io.BytesIO()
    images.save(
        stream,
        quality=_QUALITY,
        chroma=444,
        exif=exif.HEAD + first.exif if first.exif else None,
        xmp=first.xmp or None,
    )
    return stream.getvalue()
