"""What a source of photos is: something that yields offers and refusals, in a fixed order."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

INBOX = Path("data/inbox")
"""Where ``scrape.path`` points unless it is set."""
OFFLINE_WAY = "check the network, or take photos from disk with --source folder --path FOLDER"


@dataclass(frozen=True)
class Offer:
    """A photo's bytes as found, and where they came from."""

    category: str
    """A safe folder name (:func:`pipeline.sources.categories.folder_name`)."""
    url: str
    """A URL, or ``package:file#region`` and the like for a source that is no server."""
    data: bytes
    page: str = ""
    """The page that showed the photo, when the source knows it."""
    query: str = ""
    """What the search was asked for."""
    licence: str = ""
    """The photo's licence, or the licence filter that the search was given."""


@dataclass(frozen=True)
class Refusal:
    """A photo that was tried, or seen, and not kept."""

    category: str
    url: str
    reason: str
    """A few words that are the same for every photo refused for this reason; see ``reasons``."""
    detail: str = ""
    """What was special about this one: a status, an address, a size."""
    page: str = ""
    query: str = ""


@dataclass(frozen=True)
class Shortfall:
    """A category that the source could not look for, or not to the end."""

    category: str
    reason: str
    """Why, as a phrase that fits behind a colon."""


@dataclass(frozen=True)
class Later:
    """A photo that nobody has looked at yet: beyond the limit nobody has to."""

    category: str
    read: Callable[[], Offer | Refusal | Shortfall]
    """Looks at it; to be called before the source is asked for more."""


Found = Offer | Later | Refusal | Shortfall


def is_hidden(path: PurePath) -> bool:
    """Whether a path, relative to where photos are looked for, is some program's own.

    Thumbnails in a hidden folder, a NAS's in ``@eaDir`` and macOS's shadow files in ``__MACOSX``
    have a photo's name and are none that anyone took; a disk's bins may not even be read.
    """
    return any((part.startswith(".") and part != "..") or part in _BINS for part in path.parts)


_BINS = frozenset({"@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information"})


def files_below(folder: Path) -> tuple[list[Path], list[OSError]]:
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


class Source(Protocol):
    """Where photos come from.

    Iterating twice gives the same photos in the same order, as far as the world outside stays the
    same. Only one photo's bytes need to be in memory at a time.
    """

    def __iter__(self) -> Iterator[Found]:
        """Yield every photo found and every one refused, category by category.

        One that costs something to look at may come as :class:`Later`.

        Raises:
            ColorpipeError: nothing at all can be had from the source.
        """
        ...
