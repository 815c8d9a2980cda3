"""JPEG XL of 8 and 16 bits, without loss; EXIF and XMP in boxes.

libjxl reads and writes it (imagecodecs, of the extra ``formats``). Source: ISO/IEC 18181-2,
annex A.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pipeline.imaging.codecs import needs_formats, open_with_codec
from pipeline.imaging.formats import boxes, exif, jxl_head, xmp
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile
from pipeline.imaging.gray_photo import displayed, of_array
from pipeline.imaging.kinds import BY_NAME


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a JPEG XL.

    Raises:
        ImageError: it is damaged or too large, or the extra is not installed.
    """
    kind = BY_NAME["jxl"]
    opened = open_with_codec(file, kind, max_pixels)
    metadata, own = _describe(file)

    def read_page(number: int) -> Page:
        # The codestream says how it is turned, and libjxl has turned it: EXIF says it only again.
        return Page(of_array(opened.decode(number).pixels), metadata.upright(), own)

    return PhotoFile(kind, opened.size, read_page, bits=opened.bits, note=opened.note)


def _describe(file: bytes) -> tuple[Metadata, tuple[boxes.Box, ...]]:
    exif_data = packet = None
    own: list[boxes.Box] = []
    for name, content in boxes.read(file) if file.startswith(boxes.JXL_SIGNATURE) else ():
        if name == b"Exif" and len(content) > 4:
            # Behind the place where the TIFF header begins.
            (start,) = struct.unpack_from(">I", content)
            exif_data = exif.without_thumbnail(content[4 + start :])
        elif name == b"xml ":
            packet = xmp.without_old_pictures(content)
        elif name == b"jumb":
            own.append((name, content))
    return Metadata(exif=exif_data, xmp=packet), tuple(own)


def write(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a JPEG XL.

    Raises:
        ImageError: the extra is not installed.
    """
    with needs_formats("JPEG XL"):
        import imagecodecs
    (page, tint), *_ = pages
    # Programs take the codestream's word for how it is turned, not EXIF's; it will say sRGB.
    pixels = displayed(page.photo, tint)
    encoded = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True))
    metadata = page.metadata.upright()
    parts: list[boxes.Box] = []
    if metadata.exif:
        parts.append((b"Exif", bytes(4) + metadata.exif))
    if metadata.xmp:
        parts.append((b"xml ", metadata.xmp))
    parts += page.own if isinstance(page.own, tuple) else ()
    # The encoder's own boxes tell the file's type and, for 16 bits, the level that a decoder needs.
    own = list(boxes.read(encoded))
    place = next(n for n, (name, _) in enumerate(own) if name in {b"jxlc", b"jxlp"})
    name, content = own[place]
    # A part has its number before it.
    head = 4 if name == b"jxlp" else 0
    content = content[:head] + jxl_head.with_tones_of_srgb(content[head:])
    return boxes.write([*own[:place], *parts, (name, content), *own[place + 1 :]])
