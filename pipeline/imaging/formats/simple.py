"""Formats that hold pixels and little else: BMP, TGA, PCX, and the PNM family (PGM becomes PPM).

They hold neither profile nor, but for TGA, orientation: photos come upright and in sRGB.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging.color import Samples, to_16_bits
from pipeline.imaging.errors import ImageError, decoding
from pipeline.imaging.formats import pillow_file
from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile
from pipeline.imaging.gray_photo import displayed, of_array
from pipeline.imaging.kinds import BY_NAME


def open_pnm(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a PGM, PPM or PBM file; comments in its head are kept.

    Pillow scales some samples of 16 bits to 8: all of them are read here (netpbm's ppm(5):
    blank-separated head; then numbers, or binary samples, the most significant byte first).

    Raises:
        ImageError: it is damaged or too large.
    """
    with decoding():
        words, comments, start = _pnm_head(file)
    kind, width, height, most = words
    opened = pillow_file.open_file(file, max_pixels, bits=16 if most > 255 else 8)

    def read_page(number: int) -> Page:
        if most > 255:
            with decoding():
                channels = 3 if kind in {3, 6} else 1
                count = width * height * channels
                if kind > 3:
                    samples = np.frombuffer(file, ">u2", count, start)
                else:
                    samples = _numbers(file[start:], count)
                photo = of_array(to_16_bits(samples, most).reshape(height, width, channels))
        else:
            photo = opened.read_page(number).photo
        return Page(photo, Metadata(comment=comments or None))

    return PhotoFile(BY_NAME["ppm"], opened.size, read_page, bits=opened.bits)


def _pnm_head(file: bytes) -> tuple[tuple[int, int, int, int], bytes, int]:
    """Return number of the kind, width, height and largest sample; comments; where pixels start."""
    kind = int(file[1:2])
    wanted = 2 if kind in {1, 4} else 3
    words: list[int] = []
    comments: list[bytes] = []
    at = 2
    while len(words) < wanted:
        byte = file[at : at + 1]
        if byte == b"#":
            end = file.index(b"\n", at)
            comments.append(file[at + 1 : end].strip())
            at = end + 1
        elif byte.isspace():
            at += 1
        elif byte.isdigit():
            end = at
            while file[end : end + 1].isdigit():
                end += 1
            words.append(int(file[at:end]))
            at = end
        else:
            raise ImageError("damaged (its head holds no numbers)")
    most = words[2] if wanted == 3 else 1
    return (kind, words[0], words[1], most), b"\n".join(comments), at + 1


def _numbers(text: bytes, count: int) -> NDArray[np.uint16]:
    """Read at most ``count`` samples from numbers with comments in between."""
    found = np.fromstring(re.sub(rb"#[^\r\n]*", b"", text), np.int64, sep=" ")[:count]
    return np.clip(found, 0, 65_535).astype(np.uint16)


def write_pnm(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a PPM of 8 or 16 bits."""
    (page, tint), *_ = pages
    pixels = displayed(page.photo, tint)
    most = int(np.iinfo(pixels.dtype).max)
    comment = page.metadata.comment or b""
    lines = b"".join(b"# " + line + b"\n" for line in comment.splitlines())
    head = b"P6\n%s%d %d\n%d\n" % (lines, pixels.shape[1], pixels.shape[0], most)
    return head + pixels.astype(f">u{pixels.itemsize}").tobytes()


def write_bmp(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a BMP."""
    (page, tint), *_ = pages
    return _saved(displayed(page.photo, tint), "BMP", dpi=page.metadata.dpi or (96, 96))


def write_tga(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a TGA, compressed by run lengths."""
    (page, tint), *_ = pages
    return _saved(displayed(page.photo, tint), "TGA", compression="tga_rle")


def write_pcx(_file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a PCX."""
    (page, tint), *_ = pages
    return _saved(displayed(page.photo, tint), "PCX", dpi=page.metadata.dpi or (0, 0))


def _saved(pixels: Samples, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_, **options)
    return stream.getvalue()
