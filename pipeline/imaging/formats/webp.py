"""WebP with what stands beside its pixels, as lossless or lossy as it was.

Source: the WebP container's specification (Google), which is RIFF's.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

from pipeline.imaging.color import Samples

_QUALITY = 90
_HEAD_END = 12
"""The first chunk comes behind ``RIFF``, the file's length and ``WEBP``."""


def is_lossless(file: bytes) -> bool:
    """Tell which of the two codecs made the picture, which may lie behind a profile of any size."""
    at = _HEAD_END
    while at + 8 <= len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        if name in {b"VP8L", b"VP8 "}:
            return bool(name == b"VP8L")
        at += 8 + length + length % 2
    return False


def encode(pixels: Samples, lossless: bool, exif: bytes, xmp: bytes, icc: bytes) -> bytes:
    """Encode ``pixels`` (H, W, 3 or 4), red first, uint8; what is empty of the rest is left out."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(
        stream,
        "WEBP",
        lossless=lossless,
        # Lossless, it is how hard to try; 4 is the default, and slow enough.
        quality=20 if lossless else _QUALITY,
        exact=True,
        exif=exif,
        xmp=xmp,
        icc_profile=icc,
    )
    return stream.getvalue()
