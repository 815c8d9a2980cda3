"""Resize: bring every photo to one square size, as PNG."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.dataset import squares
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.listing import files_in, folders_in
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.parallel import KILLED, map_in_order
from pipeline.files.progress import ProgressReport
from pipeline.imaging.decode import ANY_PIXELS, ImageError, open_photo, read_bytes
from pipeline.imaging.formats import plain_png as png
from pipeline.params import ResizeParams


@dataclass(frozen=True)
class Source:
    """A photo to resize."""

    path: str
    category: str
    stem: str
    """Of the name of the resized photo."""


def resize(clean: Path, out: Path, params: ResizeParams) -> list[Failure]:
    """Write every photo of ``clean`` to ``out`` as a square PNG of the same name.

    Args:
        clean: a folder of photos a category; only read.
        out: written whole or not at all.
        params: size and mode.

    Returns:
        A failure for each photo that could not be read.

    Raises:
        ColorpipeError: there is no photo, two of a category would get the same name, or ``out``
            holds files that no resize wrote, or overlaps with ``clean``.
    """
    total, categories = _check(clean)
    # Photos of one's own in folders look the same by their names. Hardly any is a PNG that is
    # square and not compressed, as all are here.
    check_replaceable(
        out, "--resized", near=[clean], known=_is_resized_name, looks_own=png.is_square_of_ours
    )
    failures: list[Failure] = []
    with new_folder(out) as folder:
        for category in categories:
            (folder / category).mkdir()
        work = functools.partial(resize_file, folder=folder, params=params)
        lost = functools.partial(_lose, folder=folder)
        with ProgressReport("Resizing", total) as progress:
            left = _not_ahead(list_photos(clean), folder, params, progress)
            for failure in map_in_order(work, left, failed=lost):
                progress.advance()
                if failure is not None:
                    failures.append(failure)
        if len(failures) == total:
            raise ColorpipeError(f"No photo in {clean} could be read; first {failures[0]}.")
    squares.clear()
    return failures


def _is_resized_name(file: str) -> bool:
    return file.count("/") == 1 and file.endswith(".png")


def list_photos(folder: Path) -> Iterator[Source]:
    """Yield the files in the folders of ``folder``, sorted; hidden files are passed over."""
    for category in folders_in(folder):
        for name in files_in(category):
            yield Source(f"{category}/{name}", category.name, PurePath(name).stem)


def _check(clean: Path) -> tuple[int, list[str]]:
    """Count the photos and name their categories; raise when there are none or two become one."""
    if not clean.is_dir():
        raise ColorpipeError(f"{clean} is not a folder; run clean first, or name another one.")
    total, categories = 0, list[str]()
    for category in folders_in(clean):
        stems = set[str]()
        for name in files_in(category):
            stem = PurePath(name).stem
            if stem in stems:
                raise ColorpipeError(
                    f"{category / name} has the same name as another photo of its category, but for"
                    " the extension; rename one of them."
                )
            stems.add(stem)
        if stems:
            categories.append(category.name)
            total += len(stems)
    if not total:
        raise ColorpipeError(
            f"{clean} has no photos in folders; it must hold a folder for each category."
        )
    return total, categories


def _not_ahead(
    sources: Iterable[Source], folder: Path, params: ResizeParams, progress: ProgressReport
) -> Iterator[Source]:
    """Move the squares that were made ahead to their places, and yield the other photos.

    Here, for a worker would take longer to be told of a photo than to rename a file.
    """
    for source in sources:
        if squares.take(source.path, params, _target(source, folder)):
            progress.advance()
        else:
            yield source


def _target(source: Source, folder: Path) -> str:
    return f"{folder}/{source.category}/{source.stem}.png"


def resize_file(source: Source, folder: Path, params: ResizeParams) -> Failure | None:
    """Write one photo as ``<folder>/<category>/<stem>.png``; say so if it cannot be read."""
    try:
        # What is too large was dropped by clean, whose limit is the user's.
        photo = open_photo(read_bytes(source.path), ANY_PIXELS, at_least=params.size)
    except ImageError as error:
        return Failure(source.path, str(error))
    square = squares.to_square(photo.pixels, params)
    Path(_target(source, folder)).write_bytes(png.encode(square))
    return None


def _lose(source: Source, folder: Path) -> Failure:
    """Give up a photo that kills the process which resizes it, with what that may have written."""
    Path(_target(source, folder)).unlink(missing_ok=True)
    return Failure(source.path, KILLED)
