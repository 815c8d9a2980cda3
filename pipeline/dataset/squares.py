"""Photos as squares of one size, some of them made ahead: by ``clean``, for ``resize`` to take.

To decode a photo takes as long as all else that ``resize`` does with a small one, and several times
as long with a large one. ``clean`` has to decode every photo, to measure it and to know that it is
whole, and the pixels it gets are mostly the very ones that ``resize`` would decode again. So it
makes the square as well, under a name that says of which file, by which decoder and for which
parameters, and ``resize`` moves it to its place, without even reading the photo. Without it the
result is the same, only later.

A file is known by its category and name, inode, size and time of the last change, as DVC knows one
that did not change.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import features

from pipeline.imaging.decode import RGB, Photo, reduced_size
from pipeline.imaging.formats import plain_png as png
from pipeline.params import ResizeParams

FOLDER = Path(".colorpipe/squares")

MOST = 1 << 30
"""Bytes of squares made ahead at most: they wait on the disk until ``resize`` runs."""
SHARE_OF_DISK = 0.25
"""And this share of what is free there at most."""

_UNFINISHED = ".squares-"


def to_square(rgb: RGB, params: ResizeParams) -> RGB:
    """Bring ``rgb`` (H, W, 3) to (size, size, 3) in the given mode.

    Shrinking averages areas; enlarging is bicubic.
    """
    size = params.size
    height, width = rgb.shape[:2]
    if params.mode == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _scaled(rgb[top : top + side, left : left + side], size, size)
    if params.mode == "stretch":
        return _scaled(rgb, size, size)
    scale = size / max(height, width)
    inner = _scaled(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return square


def _scaled(rgb: RGB, width: int, height: int) -> RGB:
    if (rgb.shape[1], rgb.shape[0]) == (width, height):
        return rgb
    shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(rgb, (width, height), interpolation=method).astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Ahead:
    """Where squares are made ahead, and which."""

    folder: Path
    params: ResizeParams
    room: int
    """How many there may be."""

    def keep(self, path: str, data: bytes, photo: Photo) -> None:
        """Make the square of ``photo``, if ``resize`` would decode its file to the same pixels.

        Args:
            path: the file that ``resize`` will find: it ends in ``<category>/<name>``, and what is
                before that may be renamed.
            data: what is in it.
            photo: what was decoded from that, at its size or less.
        """
        size = self.params.size
        height, width = photo.pixels.shape[:2]
        # Other formats, and a JPEG that is less than twice as large, are decoded whole.
        shrinks = photo.format == "JPEG" and min(photo.size) >= 2 * size
        wanted = reduced_size(data, size) if shrinks else photo.size
        if photo.changes or wanted != (width, height):
            return
        square = png.encode(to_square(photo.pixels, self.params))
        # A full disk is for the stage's own output to report; half a square is none.
        with contextlib.suppress(OSError):
            target = f"{self.folder}/{_name(path, self.params)}"
            try:
                Path(target).write_bytes(square)
            except OSError:
                Path(target).unlink(missing_ok=True)


@contextlib.contextmanager
def making(params: ResizeParams) -> Iterator[Ahead | None]:
    """Let squares be made, which are there to take when the block ends without error.

    Those of another time are gone then. None where there is no place for any: they only save time.
    """
    clear()
    try:
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=FOLDER.parent))
        room = min(MOST, SHARE_OF_DISK * shutil.disk_usage(folder).free)
    except OSError:
        yield None
        return
    try:
        yield Ahead(folder, params, int(room / (3 * params.size**2)))
        with contextlib.suppress(OSError):
            folder.replace(FOLDER)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take(path: str, params: ResizeParams, target: str) -> bool:
    """Move the square of the file ``path`` to ``target``, and return whether it was there."""
    try:
        square = f"{FOLDER}/{_name(path, params)}"
    except OSError:
        # What is wrong with the file comes to light when it is read.
        return False
    try:
        os.rename(square, target)  # noqa: PTH104 - a path object costs as much again
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # The target is on another disk.
        shutil.move(square, target)
    return True


def clear() -> None:
    """Remove all that was made ahead, and what a run that was killed left."""
    for folder in (FOLDER, *FOLDER.parent.glob(_UNFINISHED + "*")):
        shutil.rmtree(folder, ignore_errors=True)


def _name(path: str, params: ResizeParams) -> str:
    file = os.stat(path)  # noqa: PTH116 - a path object costs as much again
    photo = "/".join(path.replace("\\", "/").rsplit("/", 2)[1:])
    # Names may be as long as a file system takes them.
    name = hashlib.sha256(os.fsencode(photo)).hexdigest()[:16]
    identity = f"{name}-{file.st_ino}-{file.st_size}-{file.st_mtime_ns}"
    return f"{identity}-{params.size}-{params.mode}-{_decoder()}.png"


@functools.cache
def _decoder() -> str:
    return f"{PIL.__version__}-{features.version('jpg')}-{cv2.__version__}"
