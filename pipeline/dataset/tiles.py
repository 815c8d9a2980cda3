"""Tiles: the small squares that networks learn from, and the PNG files that hold them.

The files are not compressed. That would save a quarter of their bytes and take ten times as long,
which the chain would spend for every photo at several stages. Any program reads them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.decode import ANY_PIXELS, RGB, ImageError, open_image, read_bytes
from pipeline.imaging.processors import same_on_every_processor
from pipeline.params import ResizeParams

_UNCOMPRESSED = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 0),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
    # A tile in one or two chunks, which Pillow reads in two thirds of the time.
    *(cv2.IMWRITE_PNG_ZLIBBUFFER_SIZE, 1 << 17),
)


def make_tile(rgb: RGB, params: ResizeParams) -> RGB:
    """Bring ``rgb`` (H, W, 3) to (size, size, 3) in the given mode.

    Shrinking averages areas; enlarging is bicubic.
    """
    size = params.size
    height, width = rgb.shape[:2]
    if params.mode == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return scaled(rgb[top : top + side, left : left + side], size, size)
    if params.mode == "stretch":
        return scaled(rgb, size, size)
    scale = size / max(height, width)
    inner = scaled(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    tile = np.zeros((size, size, 3), np.uint8)
    tile[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return tile


def scaled(rgb: RGB, width: int, height: int) -> RGB:
    """Bring ``rgb`` (H, W, 3) to another size: what shrinks is averaged, what grows is bicubic.

    A side that shrinks comes first: a single step that enlarges the other would skip pixels of it.
    """
    same_on_every_processor()
    smaller = (min(rgb.shape[1], width), min(rgb.shape[0], height))
    for size, method in ((smaller, cv2.INTER_AREA), ((width, height), cv2.INTER_CUBIC)):
        if (rgb.shape[1], rgb.shape[0]) != size:
            rgb = cv2.resize(rgb, size, interpolation=method).astype(np.uint8, copy=False)
    return rgb


def encode_tile(pixels: NDArray[np.uint8]) -> bytes:
    """Encode gray (H, W) or RGB (H, W, 3) as a PNG file; the same pixels give the same bytes."""
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, _UNCOMPRESSED)[1].tobytes()


def looks_like_tile(path: Path) -> bool:
    """Whether a file may be a color tile: a square picture that is not compressed."""
    try:
        data = read_bytes(path)
        with open_image(data, ANY_PIXELS) as image:
            width, height = image.size
    except ImageError:
        return False
    return bool(width == height and len(data) > 3 * width * height)
