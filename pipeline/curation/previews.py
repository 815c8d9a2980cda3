"""Reduced decodes of large JPEGs, kept from ``clean`` until ``resize`` is done.

To read the compressed data of a 12-megapixel JPEG to their end takes longer than all else that is
done with it. ``clean`` must, to know that the file is whole; the pixels it gets, at an eighth of
the size, are the very ones that ``resize`` would decode again. So they wait here, named by the
file's content, the size and the decoder. Without them the result is the same, only later.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

import PIL
from PIL import features

from pipeline import png
from pipeline.images import RGB, ImageError, Photo, open_photo, read_bytes, reduced_size
from pipeline.outputs import new_file

FOLDER = Path(".colorpipe/previews")

LARGE = 500_000
"""Bytes from which on a file's preview is kept; below, a second decode is as fast."""


def keep(data: bytes, photo: Photo) -> None:
    """Keep the pixels of ``photo``, which was decoded from ``data`` at less than its size."""
    height, width = photo.pixels.shape[:2]
    if len(data) < LARGE or photo.changes or (width, height) == photo.size:
        return
    # It only saves time: a full disk is for the stage's own output to report.
    with contextlib.suppress(OSError), new_file(_path(data, (width, height))) as temporary:
        temporary.write_bytes(png.encode(photo.pixels))


def find(data: bytes, at_least: int) -> RGB | None:
    """Return what ``open_photo(data, at_least=at_least)`` would decode, if it was kept."""
    if len(data) < LARGE:
        return None
    try:
        path = _path(data, reduced_size(data, at_least))
        return open_photo(read_bytes(path)).pixels if path.exists() else None
    except ImageError:
        return None


def clear() -> None:
    """Remove all that was kept."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def _path(data: bytes, size: tuple[int, int]) -> Path:
    decoder = f"{PIL.__version__}-{features.version('jpg')}"
    width, height = size
    return FOLDER / f"{hashlib.sha256(data).hexdigest()[:32]}-{width}x{height}-{decoder}.png"
