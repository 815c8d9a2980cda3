"""JPEG 2000 of 8 and 16 bits: JP2 with all its boxes, or a bare codestream, as it was.

Pillow reads and writes it; colors of 16 bits go through imagecodecs, of the extra ``formats``.
Sources: ISO/IEC 15444-1, annexes A (SIZ, COD) and I (boxes); Adobe's and IPTC's numbers of boxes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pipeline.imaging.codecs import decode_wide_jpeg2000, needs_formats, samples_of_jpeg2000
from pipeline.imaging.formats import boxes, exif, pillow_file, xmp
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile
from pipeline.imaging.gray_photo import of_array, render
from pipeline.imaging.icc import icc_for_colors
from pipeline.imaging.orientation import turned_upright

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_OF_SAMPLES = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})


@dataclass(frozen=True)
class Own:
    """How a JPEG 2000 was stored."""

    is_bare: bool
    """Whether it was a codestream without boxes."""
    tile: tuple[int, int] | None
    """Width and height."""
    resolution: tuple[boxes.Box, ...]
    """Boxes of the head that are kept."""
    others: tuple[boxes.Box, ...]
    """Boxes beside the head that are kept."""


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a JPEG 2000.

    Raises:
        ImageError: it is damaged or too large, or its colors have 16 bits and the extra is not
            installed.
    """
    codestream = boxes.jp2_codestream(file)
    bits, channels = samples_of_jpeg2000(codestream)
    opened = pillow_file.open_file(file, max_pixels, bits=8 if bits <= 8 else 16)
    metadata, own, icc = _describe(file, codestream)

    def read_page(number: int) -> Page:
        if bits > 8 and (channels > 1 or bits < 16):
            photo = of_array(decode_wide_jpeg2000(file, bits), 1, icc)
        else:
            photo = replace(opened.read_page(number).photo, orientation=1)
        return Page(photo, metadata, own)

    return PhotoFile(
        opened.kind, opened.size, read_page, bits=opened.bits, holds_metadata=not own.is_bare
    )


def _tile_of(codestream: bytes) -> tuple[int, int] | None:
    """Return the size of tiles (A.5.1), if there are several."""
    width, height = struct.unpack_from(">II", codestream, 8)
    tile_width, tile_height = struct.unpack_from(">II", codestream, 24)
    is_whole = tile_width >= width and tile_height >= height
    return None if is_whole else (int(tile_width), int(tile_height))


def _describe(file: bytes, codestream: bytes) -> tuple[Metadata, Own, bytes | None]:
    """Sort the boxes; return the file's own profile as well."""
    found: dict[bytes, bytes] = {}
    head: list[boxes.Box] = []
    others: list[boxes.Box] = []
    icc: bytes | None = None
    is_bare = not file.startswith(boxes.JP2_SIGNATURE)
    for name, content in () if is_bare else boxes.read(file):
        if name == b"uuid" and content[:16] in {_XMP, _EXIF, _IPTC}:
            found[content[:16]] = content[16:]
        elif name == b"jp2h":
            for inner, value in boxes.read(content):
                if inner == b"res ":
                    head.append((inner, value))
                elif inner == b"colr" and value[:1] in {b"\2", b"\3"}:
                    icc = value[3:]
        elif name not in _OF_SAMPLES:
            others.append((name, content))
    data, packet = found.get(_EXIF), found.get(_XMP)
    data = data.removeprefix(exif.HEAD) if data else None
    metadata = Metadata(
        exif=exif.without_thumbnail(data) if data else None,
        xmp=xmp.without_old_pictures(packet) if packet else None,
        iptc=found.get(_IPTC),
        icc=icc_for_colors(icc),
    )
    # Programs do not look for how it is turned in EXIF's box.
    return metadata.upright(), Own(is_bare, _tile_of(codestream), tuple(head), tuple(others)), icc


def write(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a JPEG 2000 without loss.

    Raises:
        ImageError: it has 16 bits, and the extra is not installed.
    """
    (page, tint), *_ = pages
    own = page.own if isinstance(page.own, Own) else Own(False, None, (), ())
    pixels = turned_upright(render(page.photo, tint), page.photo.orientation)
    if pixels.dtype == np.uint16:
        with needs_formats("JPEG 2000 with colors of 16 bits"):
            import imagecodecs
        # The level 0 and the reversible transform are what keeps every bit.
        data = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2"))
    else:
        stream = io.BytesIO()
        options = {"tile_size": own.tile} if own.tile else {}
        Image.fromarray(np.asarray(pixels, np.uint8)).save(
            stream, "JPEG2000", irreversible=False, no_jp2=False, **options
        )
        data = stream.getvalue()
    if own.is_bare:
        return boxes.jp2_codestream(data)
    return _with_boxes(data, page.metadata.upright(), own)


def _with_boxes(data: bytes, metadata: Metadata, own: Own) -> bytes:
    """Put what stood beside the pixels into a JP2 that an encoder wrote."""
    parts: list[boxes.Box] = []
    for name, content in boxes.read(data):
        if name == b"jp2h":
            inner = list(boxes.read(content))
            if metadata.icc:
                inner = [
                    (n, b"\2\0\0" + metadata.icc if n == b"colr" else value) for n, value in inner
                ]
            parts.append((name, boxes.write([*inner, *own.resolution])))
        elif name == b"jp2c":
            for number, value in (
                (_EXIF, metadata.exif),
                (_XMP, metadata.xmp),
                (_IPTC, metadata.iptc),
            ):
                if value:
                    parts.append((b"uuid", number + value))
            parts += own.others
            parts.append((name, content))
        else:
            parts.append((name, content))
    return boxes.write(parts)
