"""A row of the table, as a folder: what is kept of a run that was evaluated.

It is small and stands in git. So a table of many runs needs neither their weights nor one machine
that trained them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.imaging.decode import RGB, open_photo

PHOTOS, METRICS, COLORING, STRIP = "photos.csv", "metrics.json", "coloring.json", "strip.jpg"
"""Every score of every photo, what they come to, how fast photos are colored, and some pictures."""

_QUALITY = 90


def write_strip(path: Path, pictures: Sequence[RGB]) -> None:
    """Write pictures of one size, (H, W, 3), below each other as one JPEG."""
    Image.fromarray(np.concatenate(pictures)).save(path, quality=_QUALITY, subsampling=0)


def read_strip(path: Path, count: int) -> list[RGB]:
    """Read the ``count`` pictures of :func:`write_strip`.

    Raises:
        ImageError: the file cannot be read.
        ValueError: it holds another number of pictures.
    """
    return np.split(open_photo(path).pixels, count)
