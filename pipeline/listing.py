"""The files of a folder, in an order that does not depend on the file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in ``folder``, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.is_dir())


def files_in(folder: Path) -> list[str]:
    """Return the names of the files in ``folder``, sorted; hidden ones are passed over."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")
        )


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
        elif not entry.is_dir():
            yield inside + entry.name
