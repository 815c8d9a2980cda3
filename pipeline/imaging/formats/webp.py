"""WebP with what stands beside its pixels, as lossless or lossy as it was.

Source: the WebP container's specification (Google), which is RIFF's.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

import numpy as np
from PIL import Image

from pipeline.imaging.formats import frames, pillow_file
from pipeline.imaging.formats.page import Colored, Metadata, PhotoFile
from pipeline.imaging.gray_photo import render

_QUALITY = 90
_EFFORT = 20
"""Where no pixel may change, ``quality`` says how hard to compress, 0 to 100; more takes long."""
_HEAD_END = 12
"""The first chunk comes behind ``RIFF``, the file's length and ``WEBP``."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a WebP photo or animation.

    Raises:
        ImageError: it is damaged or too large.
    """
    return pillow_file.open_file(file, max_pixels, bits=8, describe=_describe)


def _describe(
    file: bytes,
    metadata: Metadata,
    *,
    color_space_stays: bool,  # noqa: ARG001 - WebP has no other place for it than the profile
) -> tuple[Metadata, bool]:
    return metadata, is_lossless(file)


def is_lossless(file: bytes) -> bool:
    """Tell which of the two codecs made the picture, which may lie behind a profile of any size."""
    at = _HEAD_END
    while at + 8 <= len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        if name in {b"VP8L", b"VP8 "}:
            return bool(name == b"VP8L")
        at += 8 + length + length % 2
    return False


def write(file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a photo or an animation; what was no WebP before becomes a lossless one."""
    if file.is_animated:
        return frames.write(file, pages, "WEBP", lossless=True, quality=_EFFORT, exact=True)
    (page, tint), *_ = pages
    lossless = page.own is not False
    stream = io.BytesIO()
    Image.fromarray(np.asarray(render(page.photo, tint), np.uint8)).save(
        stream,
        "WEBP",
        lossless=lossless,
        quality=_EFFORT if lossless else _QUALITY,
        exact=True,
        **pillow_file.beside_pixels(page.metadata),
    )
    return stream.getvalue()
