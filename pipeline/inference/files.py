"""Where a process that colors finds photos and puts results: here, in files as they are."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pipeline.files.outputs import new_file
from pipeline.inference.jobs import Job
from pipeline.inference.outcomes import Item, Outcome


class Files(Protocol):
    """What coloring asks of the place of photos and results."""

    def ahead(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items in their order, each when its photo is here."""

    def photo(self, path: Path) -> Path | bytes:
        """Return a photo: the file that it is in, or its bytes.

        Raises:
            StorageError: it cannot be read.
        """

    def taken(self, job: Job, paths: Sequence[Path]) -> list[Path]:
        """Return those of ``paths``, for the results of ``job``, where something is.

        Raises:
            StorageError: nobody can tell.
        """

    def write(self, job: Job, path: Path, data: bytes, *, replace: bool) -> None:
        """Put a result of ``job`` at ``path``, whole or not at all.

        Raises:
            FileExistsError: something is there, and is not to be replaced.
            OSError: it cannot be written.
        """

    def named(self, path: Path) -> str:
        """Return what ``path`` is called in a sentence."""

    def delivered(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield outcomes in their order, each when its results are where they belong."""


class LocalFiles(AbstractContextManager["LocalFiles"]):
    """Photos and results of this computer; see :class:`Files`."""

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def ahead(self, items: Iterable[Item]) -> Iterator[Item]:
        """See :meth:`Files.ahead`."""
        return iter(items)

    def photo(self, path: Path) -> Path | bytes:
        """See :meth:`Files.photo`."""
        return path

    def taken(self, job: Job, paths: Sequence[Path]) -> list[Path]:
        """See :meth:`Files.taken`."""
        del job
        return [path for path in paths if os.path.lexists(path)]

    def write(self, job: Job, path: Path, data: bytes, *, replace: bool) -> None:
        """See :meth:`Files.write`."""
        del job
        if replace:
            with new_file(path) as temporary:
                temporary.write_bytes(data)
        else:
            _publish(data, path)

    def named(self, path: Path) -> str:
        """See :meth:`Files.named`."""
        return str(path)

    def delivered(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """See :meth:`Files.delivered`."""
        return iter(outcomes)


def _publish(data: bytes, target: Path) -> None:
    """Write a file that is not there yet, whole or not at all.

    Where the system knows files without a name (O_TMPFILE of Linux), the data get theirs when they
    are complete: a process that is killed leaves nothing behind.

    Raises:
        FileExistsError: somebody else made it in the meantime.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except (AttributeError, OSError):
        _publish_renamed(data, target)
        return
    with os.fdopen(handle, "wb") as stream:
        name = f"/proc/self/fd/{handle}"
        if not os.path.lexists(name):  # where /proc is not mounted
            _publish_renamed(data, target)
            return
        stream.write(data)
        stream.flush()
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # With a folder's handle Python calls linkat(2), and only that follows the link.
            os.link(name, target.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)


def _publish_renamed(data: bytes, target: Path) -> None:
    """Do the same with a temporary file, for other systems and file systems."""
    with new_file(target) as temporary:
        temporary.write_bytes(data)
        # The moment until the file gets its name is not guarded.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it is there already")
