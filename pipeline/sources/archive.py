"""Data sets that are archives of photos: what their sources share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.download.archives import Member, members
from pipeline.errors import ColorpipeError
from pipeline.files.listing import is_hidden
from pipeline.imaging.decode import SUFFIXES
from pipeline.params import INBOX
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto, UnreadPhoto


def copy_on_disk(path: Path, official_name: str) -> Path | None:
    """Return where the user's copy of a data set is; None means that it is to be downloaded.

    Args:
        path: ``scrape.path``: the copy itself, or a folder that holds the official file. Only the
            default, with nothing in it, means that there is no copy.
        official_name: the official file's name.
    """
    if (path / official_name).is_file():
        return path / official_name
    if path == INBOX and not any(_is_content(file) for file in path.rglob("*")):
        return None
    return path


def _is_content(file: Path) -> bool:
    return file.is_file() and not file.name.startswith((".", "README"))


def photos_in_archive(
    path: Path,
    category_of: Callable[[str], str | None],
    max_bytes: int,
    *,
    page: str,
    license: str,
) -> Iterator[Item]:
    """Yield the photos of an archive or a folder, as :func:`~pipeline.download.archives.members`.

    Args:
        path: the archive or folder.
        category_of: the category of a file by its name inside; None leaves the file out.
        max_bytes: a larger photo is rejected.
        page: where the data set is described.
        license: as its makers state it.

    Raises:
        ColorpipeError: the archive cannot be read or holds no photo.
    """
    found = False
    for member in members(path, _is_photo, max_bytes):
        category = category_of(member.name)
        if category is not None:
            found = True
            url = f"{path.name}#{member.name}"
            yield UnreadPhoto(category, partial(_read, member, category, url, license))
    if not found:
        raise ColorpipeError(f"{path} holds no photos of this data set; see {page}.")


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def _read(member: Member, category: str, url: str, license: str) -> FoundPhoto | RejectedPhoto:
    content = member.read()
    if content.reason:
        return RejectedPhoto(category, url, content.reason, content.detail)
    return FoundPhoto(category, url, content.data, license=license)
