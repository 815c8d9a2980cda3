"""The default: photos that come with scikit-image, so that the chain runs without a network.

Six color photos are cut into tiles that do not overlap, so that training and test tiles share no
pixel. Files of other kinds (gray, transparent, animated, multi-page) are taken whole, to give the
clean stage something to do. That is enough to see the chain run, but too little to learn colors.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ColorpipeError, needs_extra
from pipeline.imaging.decode import open_photo
from pipeline.params import ScrapeParams
from pipeline.sources.base import FoundPhoto, Item


@dataclass(frozen=True)
class _File:
    name: str
    category: str
    license: str
    """As stated by the docstring of the file's function in ``skimage.data``."""
    tile: int = 0
    """Side of the tiles in pixels; 0 takes the file as it is."""


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


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield scikit-image's photos, the color photos in tiles of about 100 x 100 pixels.

    Raises:
        ColorpipeError: scikit-image is not installed, or one of its files is missing.
    """
    del params
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
            yield FoundPhoto(file.category, url, data, license=file.license)
            continue
        for region, tile in _tiles(data, file.tile):
            yield FoundPhoto(file.category, f"{url}#xywh={region}", tile, license=file.license)


def _data_folder() -> Path:
    # Found without importing scikit-image, which takes longer than cutting the tiles.
    spec = importlib.util.find_spec("skimage")
    with needs_extra("scrape", "The source 'sample'"):
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name="skimage")
    return Path(spec.origin).parent / "data"


def _tiles(data: bytes, side: int) -> Iterator[tuple[str, bytes]]:
    """Cut an image into squares of ``side`` px; yield ``x,y,w,h`` of a W3C media fragment and PNG.

    What is left over is divided evenly between the two ends of a row or column.
    """
    image = open_photo(data).image
    columns, rows = image.width // side, image.height // side
    x0, y0 = (image.width - columns * side) // 2, (image.height - rows * side) // 2
    for row in range(rows):
        for column in range(columns):
            x, y = x0 + column * side, y0 + row * side
            stream = io.BytesIO()
            # The pixels are sRGB by now; the file's profile would convert them once more.
            image.crop((x, y, x + side, y + side)).save(stream, "PNG", icc_profile=None)
            yield f"{x},{y},{side},{side}", stream.getvalue()
