"""The embedded default: the photos that scikit-image carries in its own package.

Six color photos are cut into tiles that do not overlap, so that a tile to train on and a tile to
test with share no pixel. Files of other kinds (gray, transparent, animated, multi-page) come along
whole: they are there for the clean stage to deal with. It is enough to see the whole chain run
without a network; it is not enough to learn colors from.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.imaging.decode import open_photo
from pipeline.sources.base import Found, Offer


@dataclass(frozen=True)
class _File:
    name: str
    category: str
    license: str
    """As the docstring of the file's function in ``skimage.data`` states it."""
    tile: int = 0
    """Side of the tiles in pixels; 0 takes the file's bytes whole."""


_FILES = (
    _File("astronaut.png", "portraits", "public domain (NASA)", 96),
    _File("chelsea.png", "portraits", "CC0 (Stefan van der Walt)", 96),
    _File("camera.png", "portraits", "CC0 (Lav Varshney)"),
    _File("horse.png", "portraits", "CC0 (Andreas Preuss)"),
    _File("coffee.png", "still-life", "CC0 (Rachel Michetti)", 80),
    _File("logo.png", "still-life", "not stated by scikit-image"),
    _File("rocket.jpg", "machines", "public domain (SpaceX)", 96),
    _File(
        "motorcycle_left.png",
        "machines",
        "not stated by scikit-image (Middlebury 2014 stereo benchmark)",
        96,
    ),
    _File("no_time_for_that_tiny.gif", "machines", "not stated by scikit-image"),
    _File("hubble_deep_field.jpg", "space", "public domain (NASA)", 100),
    _File("moon.png", "space", "not stated by scikit-image"),
    _File("multipage.tif", "space", "not stated by scikit-image"),
)


class SampleSource:
    """Yields scikit-image's photos, color photos in tiles of about 100 x 100 pixels."""

    def __iter__(self) -> Iterator[Found]:
        """Yield the tiles of each photo row by row.

        Raises:
            ColorpipeError: the installed scikit-image lacks one of the files.
        """
        folder = _data_folder()
        for file in _FILES:
            try:
                data = (folder / file.name).read_bytes()
            except OSError as error:
                raise ColorpipeError(
                    f"scikit-image has no {file.name} in {folder}; install it again with"
                    " `pip install --force-reinstall scikit-image`."
                ) from error
            url = f"skimage/data/{file.name}"
            if file.tile == 0:
                yield Offer(file.category, url, data, license=file.license)
                continue
            for region, tile in _tiles(data, file.tile):
                yield Offer(file.category, f"{url}#xywh={region}", tile, license=file.license)


def _data_folder() -> Path:
    # Found without importing scikit-image, which takes longer than cutting the tiles.
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ColorpipeError(
            "scikit-image, whose photos the sample is made of, is not installed;"
            " run `pip install scikit-image`."
        )
    return Path(spec.origin).parent / "data"


def _tiles(data: bytes, side: int) -> Iterator[tuple[str, bytes]]:
    """Cut an image into squares of ``side`` px; yields (``x,y,w,h`` of a W3C media fragment, PNG).

    The margin that is too narrow for another tile is left over evenly at both ends.
    """
    image = open_photo(data).image
    columns, rows = image.width // side, image.height // side
    x0, y0 = (image.width - columns * side) // 2, (image.height - rows * side) // 2
    for row in range(rows):
        for column in range(columns):
            x, y = x0 + column * side, y0 + row * side
            stream = io.BytesIO()
            # The pixels are sRGB; a profile left over from the file would turn them once more.
            image.crop((x, y, x + side, y + side)).save(stream, "PNG", icc_profile=None)
            yield f"{x},{y},{side},{side}", stream.getvalue()
