"""Places365: scenes of 365 classes (Zhou et al., "Places", TPAMI 2018), from the official tars.

``val_256.tar`` (36,500 photos, the one that is downloaded) does not name the classes: they stand in
``filelist_places365-standard.tar``, which is looked for beside it. The small training tar,
``train_256_places365standard.tar``, has a folder for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pipeline.download.archives import members
from pipeline.download.official import OfficialFile, obtain
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.archive import copy_on_disk, photos_in_archive
from pipeline.sources.base import Item
from pipeline.sources.categories import folder_name

_PAGE = "http://places2.csail.mit.edu/download-private.html"
# The MD5s stand on that page.
_BASE = "http://data.csail.mit.edu/places/places365/"
VALIDATION = OfficialFile(f"{_BASE}val_256.tar", "e27b17d8d44f4af9a78502beb927f808")
FILE_LISTS = OfficialFile(
    f"{_BASE}filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c"
)
_LABELS, _CLASSES = "places365_val.txt", "categories_places365.txt"
_MAX_LIST = 128 * 2**20
"""Bytes of a file list; that of the training photos has 60 MB."""


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos of the tar or folder ``params.path``, or else of the validation tar."""
    path = copy_on_disk(params.local_path, VALIDATION.name)
    if path is None:
        categories = _read_labels(obtain(FILE_LISTS))
        path = obtain(VALIDATION)
    else:
        categories = _labels_beside(path)
    return photos_in_archive(
        path,
        _category_of(categories),
        params.max_bytes,
        page=_PAGE,
        license="non-commercial research and education (places2.csail.mit.edu)",
    )


def _category_of(categories: dict[str, str]) -> Callable[[str], str | None]:
    """By label or by class folder; photos of a tar without either are all ``places365``."""

    def category(name: str) -> str | None:
        path = PurePosixPath(name)
        known = categories.get(path.name)
        if known is not None:
            return known
        # data_256/a/apartment_building/outdoor/00000001.jpg
        for index, part in enumerate(path.parts[:-2]):
            if len(part) == 1 and part.isalpha():
                return folder_name("-".join(path.parts[index + 1 : -1]), name)
        return None if categories else "places365"

    return category


def _labels_beside(path: Path) -> dict[str, str]:
    """Labels from the file lists, packed or not, in the folder of ``path`` or in ``path``."""
    folder = path if path.is_dir() else path.parent
    lists = folder / FILE_LISTS.name
    if lists.is_file():
        return _read_labels(lists)
    if (folder / _LABELS).is_file() and (folder / _CLASSES).is_file():
        return _labels((folder / _LABELS).read_bytes(), (folder / _CLASSES).read_bytes(), folder)
    return {}


def _read_labels(lists: Path) -> dict[str, str]:
    """The category of every validation photo, by its file name, from the tar of lists."""
    wanted = {_LABELS, _CLASSES}
    found = {
        PurePosixPath(member.name).name: member.read().data
        for member in members(lists, lambda name: PurePosixPath(name).name in wanted, _MAX_LIST)
    }
    if found.keys() != wanted:
        raise ColorpipeError(f"{lists} lacks {_LABELS} or {_CLASSES}; download {FILE_LISTS.url}.")
    return _labels(found[_LABELS], found[_CLASSES], lists)


def _labels(labels: bytes, classes: bytes, origin: Path) -> dict[str, str]:
    where = f"{origin}: {_CLASSES}"
    try:
        # "/a/apartment_building/outdoor 8" and "Places365_val_00000001.jpg 165".
        names = {
            number: folder_name(name.strip("/").partition("/")[2].replace("/", "-"), where)
            for name, number in (line.split() for line in classes.decode().splitlines())
        }
        return {
            name: names[number]
            for name, number in (line.split() for line in labels.decode().splitlines())
        }
    except (ValueError, KeyError) as error:
        raise ColorpipeError(
            f"{origin}: {_LABELS} or {_CLASSES} is not as published; download {FILE_LISTS.url}."
        ) from error
