"""Kaggle's Landscape Pictures: 4,319 photos from Flickr, in one category, ``landscapes``."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.archive import copy_on_disk, photos_in_archive
from pipeline.sources.base import Item

_PAGE = "https://www.kaggle.com/datasets/arnaud58/landscape-pictures"


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos of the zip or folder ``params.path``.

    Raises:
        ColorpipeError: no path is given; only members of Kaggle can download the data set.
    """
    path = copy_on_disk(params.local_path, "archive.zip")
    if path is None:
        raise ColorpipeError(
            f"Only members of Kaggle can download Landscape Pictures; get it from {_PAGE} and name"
            " the zip, or the folder it unpacks to, with --path (scrape.path)."
        )
    return photos_in_archive(
        path, lambda _: "landscapes", params.max_bytes, page=_PAGE, license="see Kaggle's page"
    )
