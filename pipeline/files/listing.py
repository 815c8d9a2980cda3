"""What a folder holds, sorted, so that no result depends on the order of the file system.

:func:`is_hidden` is the one rule for what is skipped wherever a folder is searched for photos.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

THUMBNAIL_FOLDERS = frozenset({"@eaDir", ".thumbnails"})
"""Folders that a Synology NAS and old Linux desktops fill with thumbnails, again and again."""

_SYSTEM_NAMES = frozenset(
    {
        # Synology, QNAP and Linux file systems.
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found"),
        # Windows, and macOS's archives.
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler"),
        *("system volume information", "__macosx"),
    }
)
"""In lower case. Names that begin with a dot need not be listed."""

_LIGHTROOM_PREVIEWS = ".lrdata"


def is_hidden(path: PurePath) -> bool:
    """Whether ``path``, relative to the folder that is searched, belongs to a system or a program.

    Thumbnails, recycle bins and previews hold files that are named like photos but are none that
    somebody took or wants back: ``@eaDir``, ``#recycle``, ``.thumbnails``, macOS's ``._photo.jpg``,
    Lightroom's ``*.lrdata`` and the like. A path is hidden if any part of it is.
    """
    return any(_is_hidden_name(part) for part in path.parts)


def _is_hidden_name(name: str) -> bool:
    lower = name.casefold()
    return (
        (name.startswith(".") and name != "..")
        or lower in _SYSTEM_NAMES
        or lower.endswith(_LIGHTROOM_PREVIEWS)
    )


def visible_entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return the entries of ``folder`` that are not hidden (:func:`is_hidden`), sorted by name.

    Raises:
        OSError: the folder is missing or may not be read.
    """
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not _is_hidden_name(entry.name)),
            key=lambda entry: entry.name,
        )


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether ``entry`` is a folder or a link to one."""
    try:
        return entry.is_dir()
    # A link to itself.
    except OSError:
        return False


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in ``folder`` that are not hidden, sorted by name."""
    return [folder / entry.name for entry in visible_entries(folder) if leads_to_folder(entry)]


def files_in(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` that are not hidden, sorted.

    What is neither file nor folder, such as a broken link, counts as a file: whoever reads it
    reports what is wrong with it.
    """
    return [entry.name for entry in visible_entries(folder) if not leads_to_folder(entry)]


def files_below(folder: Path | str, prefix: str = "") -> Iterator[str]:
    """Yield the paths of all files at any depth that are not hidden, sorted.

    As in :func:`files_in`, a broken link counts as a file. Links to folders are not followed.

    Args:
        folder: where to search.
        prefix: what each path begins with; the paths are relative to ``folder`` otherwise.
    """
    for entry in visible_entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path, f"{prefix}{entry.name}/")
        elif not leads_to_folder(entry):
            yield prefix + entry.name


def reachable_files(folder: Path) -> tuple[list[Path], list[OSError]]:
    """List the files at any depth below ``folder`` that are not hidden; follow links.

    A folder that several links lead to is searched once.

    Returns:
        The paths, ``folder`` included, sorted; and an error, with its ``filename``, for each folder
        that may not be read and each link that leads nowhere.
    """
    files: list[Path] = []
    errors: list[OSError] = []
    searched: set[str] = set()
    for where, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        real = os.path.realpath(where)
        if real in searched:
            folders.clear()
            continue
        searched.add(real)
        # Sorted: which of several links a folder is found by must not depend on the file system.
        folders[:] = sorted(name for name in folders if not _is_hidden_name(name))
        found, failed = regular_files(
            Path(where, name) for name in names if not _is_hidden_name(name)
        )
        files += found
        errors += failed
    return sorted(files), sorted(errors, key=lambda error: str(error.filename))


def regular_files(paths: Iterable[Path]) -> tuple[list[Path], list[OSError]]:
    """Return the files among ``paths``, and an error for each path that leads nowhere.

    Pipes and devices are skipped: reading one may never end.
    """
    files: list[Path] = []
    errors: list[OSError] = []
    for path in paths:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                files.append(path)
        except OSError as error:
            errors.append(error)
    return files, errors
