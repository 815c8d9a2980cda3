"""TIFF of 8 and 16 bits with its tags.

Pillow writes no colors of 16 bits, so its directory of tags is filled here and the strips are put
behind it. Source: TIFF 6.0 (Adobe 1992) and its technical note on Deflate (2002).
"""

from __future__ import annotations

import io
import operator
import struct
import zlib
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

from pipeline.imaging.color import Samples

_ROWS = 64
"""Rows in a strip."""
_DEFLATE = 8
_XMP = 700

# Tags that describe the samples and where they lie: new samples have new ones. 254 and 255 say what
# kind of picture of a series it is, 32781 and up are what scanners' software points into its file.
_STRUCTURE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284}
    | {288, 289, 290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330}
    | {332, 334, 336, 338, 339, 340, 341, 342, 347, 512, 513, 514, 529, 530, 531, 532}
    | {int(TiffImagePlugin.ICCPROFILE)}
)
EXIF_HEAD = b"Exif\0\0"
"""What stands before EXIF data in a JPEG, and before those that Pillow writes."""

_NESTED = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def load_exif(data: bytes) -> Image.Exif:
    """Read EXIF data, or the tags of a TIFF's first page, which are the same; damaged, none."""
    tags = Image.Exif()
    try:
        tags.load(data)
        tags.get_ifd(ExifTags.IFD.Exif)
    # Damaged data make Pillow raise SyntaxError, struct.error and others.
    except Exception:  # noqa: BLE001
        return Image.Exif()
    return tags


def descriptive_exif(file: bytes) -> bytes | None:
    """Return a TIFF's tags without those of its samples, as EXIF data, or None if none remain."""
    tags, nested = _descriptive(load_exif(file))
    tags = {tag: value for tag, value in tags.items() if tag in ExifTags.TAGS}
    return _exif_of(tags, nested).tobytes() if tags or nested else None


def shortened(exif: bytes, most: int) -> bytes:
    """Leave the longest values out of EXIF data until it has no more than ``most`` bytes.

    Photoshop keeps all sorts of things in the tags of a TIFF, of any length.
    """
    if len(exif) <= most:
        return exif
    own, nested = _descriptive(load_exif(exif))
    tags = _exif_of(own, nested)
    directories = [tags, *(tags.get_ifd(group) for group in nested)]
    while len(short := tags.tobytes().removeprefix(EXIF_HEAD)) > most:
        _, tag, directory = max(
            (
                (len(value), tag, directory)
                for directory in directories
                for tag, value in directory.items()
                if isinstance(value, bytes | str | tuple)
            ),
            key=operator.itemgetter(0),
        )
        del directory[tag]
    return short


def _descriptive(source: Image.Exif) -> tuple[dict[int, Any], dict[int, dict[int, Any]]]:
    """Return the tags that do not tell of the samples, and those nested in others.

    What a writer has put there in a wrong type is left out: nothing could write it again.
    """
    tags = {
        tag: value
        for tag, value in source.items()
        if tag not in _STRUCTURE and tag not in TiffTags.TAGS_V2_GROUPS and _is_writable(tag, value)
    }
    nested = {
        int(group): {
            tag: value
            for tag, value in source.get_ifd(group).items()
            if _is_writable(group, {tag: value})
        }
        for group in _NESTED
    }
    return tags, {group: values for group, values in nested.items() if values}


def _exif_of(tags: dict[int, Any], nested: dict[int, dict[int, Any]]) -> Image.Exif:
    exif = Image.Exif()
    exif.update(tags)
    for group, values in nested.items():
        exif.get_ifd(group).update(values)
    return exif


def _is_writable(tag: int, value: object) -> bool:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    try:
        directory[tag] = value
        directory.tobytes()
    # A stranger's value: TypeError, struct.error, AttributeError and more have been seen.
    except Exception:  # noqa: BLE001
        return False
    return True


def without_thumbnail(exif: bytes) -> bytes:
    """Cut the link to the second directory of EXIF data, which holds the thumbnail.

    Everything else stays byte for byte, since makers point to places that only they know. Damaged
    data come back as they are.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    link = _directory_end(exif, order, 4) if order else None
    # A writer may have left the link out: then what is there points to no directory.
    if link is None or _directory_end(exif, str(order), link) is None:
        return exif
    return exif[:link] + bytes(4) + exif[link + 4 :]


def _directory_end(data: bytes, order: str, link: int) -> int | None:
    """Return where the directory ends that the offset at ``link`` leads to, if there is one."""
    (start,) = struct.unpack_from(f"{order}I", data.ljust(link + 4, b"\0"), link)
    if not 8 <= start <= len(data) - 2:
        return None
    (count,) = struct.unpack_from(f"{order}H", data, start)
    end = int(start + 2 + 12 * count)
    return end if count and end + 4 <= len(data) else None


def pages_of(image: TiffImagePlugin.TiffImageFile) -> int:
    """Count the pages of a loaded TIFF.

    Copies of a page at a lower resolution and masks, as archives keep them beside a scan, are none.
    """
    pages = 1
    try:
        for number in range(1, image.n_frames):
            image.seek(number)
            pages += not int(image.tag_v2.get(_KIND, 0)) & (_REDUCED | _MASK)
    finally:
        image.seek(0)
        image.load()
    return pages


# TIFF 6.0, section 8, NewSubfileType.
_KIND, _REDUCED, _MASK = 254, 1, 4


def is_premultiplied(image: Image.Image) -> bool:
    """Whether colors are stored multiplied by their alpha (TIFF 6.0, section 18)."""
    return tuple(getattr(image, "tag_v2", {}).get(TiffImagePlugin.EXTRASAMPLES, ())) == (1,)


def encode(
    pixels: Samples,
    exif: bytes | None,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    xmp: bytes | None = None,
) -> bytes:
    """Encode ``pixels`` (H, W, 3 or 4), red first, uint8 or uint16, losslessly compressed."""
    height, width, channels = pixels.shape
    strips = [
        zlib.compress(np.ascontiguousarray(pixels[top : top + _ROWS]).astype("<u2").tobytes())
        if pixels.dtype == np.uint16
        else zlib.compress(np.ascontiguousarray(pixels[top : top + _ROWS]).tobytes())
        for top in range(0, height, _ROWS)
    ]
    ends = np.cumsum([len(strip) for strip in strips]).tolist()
    tags = _tags_of(exif)
    if dpi is not None and not {
        TiffImagePlugin.X_RESOLUTION,
        TiffImagePlugin.Y_RESOLUTION,
    } <= set(tags):
        tags[TiffImagePlugin.X_RESOLUTION] = dpi[0]
        tags[TiffImagePlugin.Y_RESOLUTION] = dpi[1]
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2
    if icc:
        tags[TiffImagePlugin.ICCPROFILE] = icc
    if xmp:
        tags.tagtype[_XMP] = TiffTags.BYTE
        tags[_XMP] = xmp
    tags[TiffImagePlugin.IMAGEWIDTH] = width
    tags[TiffImagePlugin.IMAGELENGTH] = height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (pixels.itemsize * 8,) * channels
    tags[TiffImagePlugin.COMPRESSION] = _DEFLATE
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 2
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.ROWSPERSTRIP] = _ROWS
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
    if channels == 4:
        tags[TiffImagePlugin.EXTRASAMPLES] = 2
    for tag, values in (
        (TiffImagePlugin.STRIPOFFSETS, (0, *ends[:-1])),
        (TiffImagePlugin.STRIPBYTECOUNTS, tuple(len(strip) for strip in strips)),
    ):
        tags.tagtype[tag] = TiffTags.LONG
        tags[tag] = values
    stream = io.BytesIO()
    tags.save(stream)  # moves the offsets of the strips behind the directory
    return stream.getvalue() + b"".join(strips)


def _tags_of(exif: bytes | None) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if exif is None:
        return tags
    own, nested = _descriptive(load_exif(exif))
    for tag, value in {**own, **nested}.items():
        tags[tag] = value
    return tags
