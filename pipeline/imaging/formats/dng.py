"""DNG, of cameras and of scanners: developed, and written as a TIFF of 16 bits with its tags."""

from __future__ import annotations

from pipeline.imaging.codecs import open_with_codec
from pipeline.imaging.formats import tiff
from pipeline.imaging.formats.exif import orientation_of
from pipeline.imaging.formats.page import Page, PhotoFile
from pipeline.imaging.gray_photo import of_array
from pipeline.imaging.kinds import BY_NAME


def open_file(file: bytes, max_pixels: int) -> PhotoFile:
    """Open a DNG.

    Raises:
        ImageError: it is damaged or too large, or the extra is not installed.
    """
    kind = BY_NAME["dng"]
    opened = open_with_codec(file, kind, max_pixels)
    metadata = tiff.metadata_of(file)

    def read_page(number: int) -> Page:
        pixels = opened.decode(number).pixels
        return Page(of_array(pixels, orientation_of(metadata.exif)), metadata)

    return PhotoFile(kind, opened.size, read_page, bits=16)
