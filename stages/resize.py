"""Resize: bring every photo to one square size, as PNG."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.dataset.tiles import encode_tile, looks_like_tile, make_tile
from pipeline.engines.base import KILLED, Engine
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.listing import files_in, folders_in
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.progress import track
from pipeline.imaging.decode import ANY_PIXELS, ImageError, open_photo, read_bytes
from pipeline.params import ResizeParams


@dataclass(frozen=True)
class CleanPhoto:
    """A photo to resize."""

    path: str
    category: str
    stem: str
    """Of the name of the resized photo."""


def resize(
    clean: Path, out: Path, params: ResizeParams, *, engine: Engine = LOCAL
) -> list[Failure]:
    """Write every photo of ``clean`` to ``out`` as a square PNG of the same name.

    Args:
        clean: a folder of photos a category; only read.
        out: written whole or not at all.
        params: size and mode.
        engine: where photos are worked on; the result is the same.

    Returns:
        A failure for each photo that could not be read.

    Raises:
        ColorpipeError: there is no photo, two of a category would get the same name, or ``out``
            holds files that no resize wrote, or overlaps with ``clean``.
    """
    photos = list_photos(clean)
    # Photos of the user's own, in folders, have names like these. Hardly any of them is a PNG that
    # is square and not compressed, as tiles are.
    check_replaceable(
        out, "--resized", near=[clean], known=_is_resized_name, looks_own=looks_like_tile
    )
    with new_folder(out) as folder, engine.sharing([clean], folder):
        for category in sorted({photo.category for photo in photos}):
            (folder / category).mkdir()
        work = functools.partial(resize_photo, folder=folder, params=params)
        failed = functools.partial(_give_up, folder=folder)
        results = track(engine.map_in_order(work, photos, failed=failed), "Resizing", len(photos))
        failures = [failure for failure in results if failure is not None]
        if len(failures) == len(photos):
            raise ColorpipeError(f"No photo in {clean} could be read; first {failures[0]}.")
    return failures


def _is_resized_name(file: str) -> bool:
    return file.count("/") == 1 and file.endswith(".png")


def list_photos(clean: Path) -> list[CleanPhoto]:
    """List the photos in the folders of ``clean``, sorted; hidden files are skipped.

    Raises:
        ColorpipeError: there are none, or two of a category have the same name.
    """
    if not clean.is_dir():
        raise ColorpipeError(f"{clean} is not a folder; run clean first, or name another one.")
    photos: dict[tuple[str, str], CleanPhoto] = {}
    for category in folders_in(clean):
        for name in files_in(category):
            photo = CleanPhoto(f"{category}/{name}", category.name, PurePath(name).stem)
            if photos.setdefault((photo.category, photo.stem), photo) is not photo:
                raise ColorpipeError(
                    f"{category / name} has the same name as another photo of its category, but for"
                    " the extension; rename one of them."
                )
    if not photos:
        raise ColorpipeError(
            f"{clean} has no photos in folders; it must hold a folder for each category."
        )
    return list(photos.values())


def resize_photo(photo: CleanPhoto, folder: Path, params: ResizeParams) -> Failure | None:
    """Write one photo as ``<folder>/<category>/<stem>.png``, or say why it cannot be read."""
    try:
        # Clean, whose limit is the user's, has dropped what is too large.
        opened = open_photo(read_bytes(photo.path), ANY_PIXELS, at_least=params.size, strict=True)
    except ImageError as error:
        return Failure(photo.path, str(error))
    _target(photo, folder).write_bytes(encode_tile(make_tile(opened.pixels, params)))
    return None


def _target(photo: CleanPhoto, folder: Path) -> Path:
    return folder / photo.category / f"{photo.stem}.png"


def _give_up(photo: CleanPhoto, folder: Path) -> Failure:
    """Give up a photo that kills the process which resizes it, with what that may have written."""
    _target(photo, folder).unlink(missing_ok=True)
    return Failure(photo.path, KILLED)
