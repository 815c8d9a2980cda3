"""Numbers by which photos are recognized: as the same pixels, or as nearly the same picture."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.quality import shrink_whole
from pipeline.imaging.decode import RGB, Gray


def _lowest_waves() -> NDArray[np.float32]:
    """The first 8 rows of the orthonormal matrix (32, 32) of the cosine transform, DCT-II."""
    waves = np.cos(np.pi / 64 * np.outer(np.arange(8), np.arange(1, 64, 2))) / 4
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)


_WAVES = _lowest_waves()

_MIRROR = np.tile(np.array([1, -1], np.float32), 32)
"""A mirrored photo has its odd horizontal waves (8x8, row by row) with the opposite sign."""


def perceptual_hash(gray: Gray) -> int:
    """Return the 64-bit DCT hash of ``gray`` (H, W): nearly equal photos differ in few bits.

    The photo is averaged down to 32x32; bit i says whether the i-th of the 8x8 lowest frequencies
    of its cosine transform is above their median. The same construction as ``imagehash.phash``
    (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, section
    3.2.1), but for the resampling, which is OpenCV's area average.
    """
    return _above_median(_low_frequencies(gray))


def both_hashes(gray: Gray) -> tuple[int, int]:
    """Return the :func:`perceptual_hash` of ``gray`` (H, W) and that of its mirror image.

    The latter differs by a bit or two from a hash of mirrored pixels, because averaging cuts off
    columns at the right edge.
    """
    low = _low_frequencies(gray)
    return _above_median(low), _above_median(low * _MIRROR)


def _low_frequencies(gray: Gray) -> NDArray[np.float32]:
    """The 8x8 lowest frequencies (64,) of ``gray``, averaged down to 32x32."""
    halved = shrink_whole(gray, 64)
    small = cv2.resize(halved, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray((_WAVES @ small @ _WAVES.T).ravel(), np.float32)


def _above_median(low: NDArray[np.float32]) -> int:
    """A bit for each of ``low`` (64,), the first the highest."""
    ordered = np.sort(low)
    middle = (ordered[31] + ordered[32]) / 2
    return int.from_bytes(np.packbits(low > middle).tobytes(), "big")


def distance(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()


def checksum(rgb: RGB) -> int:
    """Return the CRC-32 of pixels (H, W, 3).

    Beside an equal size and an equal :func:`perceptual_hash` it means equal pixels.
    """
    return zlib.crc32(np.ascontiguousarray(rgb).data)
