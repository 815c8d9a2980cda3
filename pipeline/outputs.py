"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ColorpipeError

BINARY: int = getattr(os, "O_BINARY", 0)
"""Without it Windows translates the line ends of what is opened by ``os.open``."""


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file in as few calls of the system as it takes, which for small ones counts."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Make ``target`` another name of the file ``source``, or a copy where that cannot be."""
    try:
        # DVC may have put a symbolic link there, which must not be what is linked to.
        linked = stat.S_ISLNK(os.lstat(source).st_mode)
        os.link(Path(source).resolve() if linked else source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file that becomes ``path`` when the block ends without error.

    The temporary file lies in the same folder, so that the last step is a single rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``path`` when the block ends without error.

    What was at ``path`` before is replaced then, and stays untouched when the block fails.

    Raises:
        ColorpipeError: the disk is full, or something could not be read or written.
    """
    try:
        with _replacement(path) as temporary:
            yield temporary
    except OSError as error:
        raise ColorpipeError(
            f"{path} was not written, and what was there is unchanged:"
            f" {error.strerror or error} ({error.filename})."
        ) from error


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
            path.replace(old / path.name)
            try:
                temporary.replace(path)
            except OSError:
                (old / path.name).replace(path)
                raise
            finally:
                shutil.rmtree(old)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
