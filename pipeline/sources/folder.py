"""Photos on disk: a folder that holds a folder for each category."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.download import rejections
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.listing import (
    leads_to_folder,
    reachable_files,
    regular_files,
    visible_entries,
)
from pipeline.imaging.decode import SUFFIXES
from pipeline.params import ScrapeParams
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto, UnreadPhoto
from pipeline.sources.categories import folder_name


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos below the folder ``params.path`` in the order of their paths.

    Subfolders belong to their category; photos that lie directly in the folder belong to a category
    of its own name. Hidden files and files without a photo's extension are skipped. A subfolder
    that cannot be read, or a broken link, is a failure that costs nothing else.

    Raises:
        ColorpipeError: the folder is missing or holds no photo, or two of its folders would become
            the same category.
    """
    root = params.local_path
    if not root.is_dir():
        others = (
            " A list of URLs needs --source urls, and an archive the source of its data set."
            if root.is_file()
            else ""
        )
        raise ColorpipeError(
            f"{root} is not a folder; --path (scrape.path) names the folder that holds a folder of"
            f" photos for each category.{others}"
        )
    found = False
    for category, files, errors in _categories(root):
        for error in errors:
            found = True
            yield _failure(category, error.filename, error)
        for file in files:
            if file.suffix.lower() in SUFFIXES:
                found = True
                url = file.relative_to(root).as_posix()
                yield UnreadPhoto(category, partial(_read, category, url, file, params.max_bytes))
    if not found:
        raise ColorpipeError(
            f"{root} holds no photos; put a folder for each category into it, with files ending in"
            f" {', '.join(sorted(SUFFIXES))}."
        )


def _categories(root: Path) -> Iterator[tuple[str, list[Path], list[OSError]]]:
    """Yield each category with its files, and the errors of what could not be read."""
    try:
        entries = visible_entries(root)
    except OSError as error:
        raise ColorpipeError(f"{root} could not be read ({error.strerror}).") from error
    # All names are checked before the first photo is read: reading takes long.
    folder_of: dict[str, tuple[str, Path]] = {}
    for folder in (root / entry.name for entry in entries if leads_to_folder(entry)):
        category = folder_name(folder.name, str(folder))
        _, other = folder_of.setdefault(category.casefold(), (category, folder))
        if other is not folder:
            raise ColorpipeError(
                f"{other} and {folder} would both become the category '{category}'; rename one of"
                " them."
            )
    files, errors = regular_files(
        root / entry.name for entry in entries if not leads_to_folder(entry)
    )
    loose = [file for file in files if file.suffix.lower() in SUFFIXES]
    own = folder_name(root.resolve().name, str(root)) if loose or errors else ""
    if loose and own.casefold() in folder_of:
        raise ColorpipeError(
            f"{loose[0]} lies outside the folders of the categories; move it into one."
        )
    for category, folder in folder_of.values():
        yield category, *reachable_files(folder)
    if own:
        yield own, loose, errors


def _read(
    category: str, url: str, file: Path, max_bytes: int
) -> FoundPhoto | RejectedPhoto | Failure:
    try:
        size = file.stat().st_size
        if size > max_bytes:
            return RejectedPhoto(category, url, rejections.TOO_LARGE, f"{size} bytes")
        return FoundPhoto(category, url, file.read_bytes())
    except OSError as error:
        return _failure(category, file, error)


def _failure(category: str, path: Path | str, error: OSError) -> Failure:
    return Failure(category, f"{path} could not be read ({error.strerror})")
