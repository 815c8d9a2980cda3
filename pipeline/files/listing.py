"""The files of a folder, in an order that does not depend on the file system, and their names."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath

LONGEST = 255
"""Bytes that a file's name may have, on most file systems."""

_NO_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of the bytes of a file's name that are no UTF-8."""
_BREAKS = re.compile("[\0\r\n]")


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in ``folder``, sorted by name; hidden ones are passed over."""
    with os.scandir(folder) as entries:
        return sorted(
            folder / entry.name
            for entry in entries
            if not entry.name.startswith(".") and _is_folder(entry)
        )


def files_in(folder: Path) -> list[str]:
    """Return the names of the files in ``folder``, sorted; hidden ones are passed over.

    What is neither file nor folder, such as a broken link, counts as a file: who reads it learns
    what is wrong with it.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and not _is_folder(entry)
        )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one."""
    try:
        return entry.is_dir()
    # A link that leads round in a circle.
    except OSError:
        return False


def stem_and_suffix(path: str) -> tuple[str, str]:
    """Cut the name of a file, without its folders, before the last dot, as pathlib does.

    A listing has many names, and a path object of each would cost more than all else in it.
    """
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")


def files_below(folder: str, inside: str = "") -> Iterator[str]:
    """Yield the paths of all files at any depth below ``folder``, relative to it, sorted.

    What is neither file nor folder, such as a broken link, counts as a file; links to folders are
    not followed.
    """
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path, f"{inside}{entry.name}/")
        elif not _is_folder(entry):
            yield inside + entry.name


def is_hidden(path: PurePath) -> bool:
    """Whether a path, relative to where photos are looked for, is some program's own.

    Thumbnails in a hidden folder, a NAS's in ``@eaDir`` and macOS's shadow files in ``__MACOSX``
    have a photo's name and are none that anyone took; a disk's bins may not even be read.
    """
    return any((part.startswith(".") and part != "..") or part in _BINS for part in path.parts)


_BINS = frozenset({"@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information"})


def reachable_files(folder: Path) -> tuple[list[Path], list[OSError]]:
    """List the files at any depth below ``folder``, and why some of it could not be looked into.

    Links are followed, each folder is looked into once, hidden ones (:func:`is_hidden`) are not.

    Returns:
        The paths, ``folder`` included, sorted; and an error, with its ``filename``, for each folder
        that may not be read and each link that leads nowhere.
    """
    files: list[Path] = []
    troubles: list[OSError] = []
    known: set[str] = set()
    for where, folders, names in os.walk(folder, onerror=troubles.append, followlinks=True):
        place = os.path.realpath(where)
        if place in known:
            folders.clear()
            continue
        known.add(place)
        # By which of several ways a folder is reached must not depend on the file system.
        folders[:] = sorted(name for name in folders if not is_hidden(PurePath(name)))
        there, gone = regular_files(Path(where, name) for name in names)
        files += there
        troubles += gone
    return sorted(files), sorted(troubles, key=lambda error: str(error.filename))


def regular_files(paths: Iterable[Path]) -> tuple[list[Path], list[OSError]]:
    """The files among ``paths``, and an error for each that may not be looked at or leads nowhere.

    Pipes and devices are passed over: to read one may take for ever.
    """
    files: list[Path] = []
    troubles: list[OSError] = []
    for path in paths:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                files.append(path)
        except OSError as error:
            if not is_hidden(PurePath(path.name)):
                troubles.append(error)
    return files, troubles


def printable(strange: str, instead: str = "?") -> str:
    """What a table can hold of a stranger's text, on one line.

    A file's name may be of bytes that are no text; of a carriage return or a NUL, Python's CSV
    writer makes what its reader does not take.
    """
    if strange.isascii() and strange.isprintable():
        return strange
    return _BREAKS.sub(" ", _NO_TEXT.sub(instead, strange))


def distinct_stems(
    files: Iterable[str], ending: str, room: int, plain: Callable[[str], str]
) -> dict[str, str]:
    """Give each file a stem of its own, its name's if that can be.

    Of files that would get the same one keeps it: that which is called so with ``ending``, else the
    first. The others get a mark that comes from their own name only, so that it stays whatever else
    comes. Upper and lower case count as the same: not all file systems tell them apart.

    Args:
        files: names of the files of one folder, sorted; all different.
        ending: the extension of the files that have the first claim.
        room: the bytes that a stem may have.
        plain: what becomes of a file's stem in any case.
    """
    stems = {file: plain(stem_and_suffix(file)[0]) for file in files}
    keepers: dict[str, str] = {}
    for file, stem in stems.items():
        keeper = keepers.setdefault(stem.casefold(), file)
        if file == stem + ending and keeper != stems[keeper] + ending:
            keepers[stem.casefold()] = file
    return {
        file: stem
        if keepers[stem.casefold()] == file and len(stem.encode()) <= room
        else _marked(file, stem, room)
        for file, stem in stems.items()
    }


def _marked(file: str, stem: str, room: int) -> str:
    mark = "_" + hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
    return stem.encode()[: max(0, room - len(mark))].decode(errors="ignore") + mark
