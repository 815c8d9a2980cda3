"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import ColorpipeError

if sys.platform != "win32":
    import fcntl

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
    temporary = path.parent / f".writing-{secrets.token_hex(8)}{path.suffix}"
    # The system alone knows the umask: to ask for it is to change it, for all threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        os.close(handle)
        yield temporary
        # Some libraries put a file of their own there, which only its owner may read.
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(
    out: Path,
    option: str,
    *,
    near: Iterable[Path] = (),
    known: Callable[[str], bool],
    looks_own: Callable[[Path], bool] | None = None,
    unknown: str = "was not written by this stage",
) -> None:
    """Refuse to write a folder where that would cost somebody's files; call it before any work.

    What a stage wrote before is known by its layout and not by a mark that it left: outs are hashed
    and compared, and one that DVC brought from elsewhere has to pass like one made here. Nothing is
    lost with an empty folder, nor with the hidden files that desktops leave (.DS_Store).

    Args:
        out: the folder to be written.
        option: what names another one: "--clean".
        near: what the stage reads or writes besides. ``out`` may not be, contain or lie inside it.
        known: whether the stage writes a file of this path, relative to ``out``, with slashes.
        looks_own: whether the stage wrote this file, by its content; asked of a few.
        unknown: what is to be said of a file that is not ``known``.

    Raises:
        ColorpipeError: ``out`` is a file, overlaps with what is near, or holds what the stage does
            not write.
    """
    place = out.resolve()
    for path in near:
        other = path.resolve()
        if place == other or place in other.parents or other in place.parents:
            raise ColorpipeError(
                f"{out}, which is written anew, and {path} overlap; name another folder with"
                f" {option}."
            )
    if not out.exists():
        return
    if not out.is_dir():
        raise ColorpipeError(
            f"{out} is a file, but a folder is to be written there; move it away, or name a folder"
            f" with {option}."
        )
    there = [file for file in _files_below(out) if not file.rpartition("/")[2].startswith(".")]
    stranger = next((file for file in there if not known(file)), None)
    if stranger is None and looks_own is not None:
        few = there[:: -(-len(there) // FEW_LOOKED_INTO) or 1]
        stranger = next((file for file in few if not looks_own(out / file)), None)
    if stranger is not None:
        raise ColorpipeError(
            f"{out} would be replaced, but it holds {stranger}, which {unknown}; move it to another"
            f" place, or name another folder with {option}."
        )


FEW_LOOKED_INTO = 16
"""Files that :func:`check_replaceable` looks into: more would make a large folder slow to check."""


def _files_below(folder: Path) -> Iterator[str]:
    """Yield all that is no folder at any depth, relative to ``folder``, in a fixed order."""
    for where, folders, files in os.walk(folder):
        folders.sort()
        inside = Path(where).relative_to(folder)
        yield from ((inside / name).as_posix() for name in sorted(files))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``path`` when the block ends without error.

    What was at ``path`` before is replaced then, and stays untouched when the block fails; whether
    it may be is for :func:`check_replaceable` to say. Where ``path`` is a link to a folder, that
    folder is replaced and the link stays.

    Raises:
        ColorpipeError: the disk is full, or something could not be read or written.
    """
    try:
        with _replacement(path.resolve() if path.is_symlink() else path) as temporary:
            yield temporary
    except OSError as error:
        raise ColorpipeError(
            f"{path} was not written, and what was there is unchanged: {told(error)}."
        ) from error


def told(error: OSError) -> str:
    """Return what the system said and, where it is known, about which file."""
    what = error.strerror or str(error)
    return what if error.filename is None else f"{what} ({error.filename})"


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(path)
    # Not by tempfile, whose folders only their owner may enter.
    temporary = path.parent / f"{_being_written(path)}{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        with _held(temporary):
            yield temporary
            _put(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; what is there is deleted when the new is in its place."""
    if not path.exists():
        new.replace(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=_replaced(path), dir=path.parent))
    old = aside / path.name
    with _held(aside):
        try:
            path.replace(old)
            new.replace(path)
        # Ctrl-C comes between any two lines.
        except BaseException:
            if old.exists() and not path.exists():
                old.replace(path)
            raise
        finally:
            if path.exists():
                shutil.rmtree(aside, ignore_errors=True)


def _being_written(path: Path) -> str:
    return f".writing-{path.name}-"


def _replaced(path: Path) -> str:
    return f".replaced-{path.name}-"


UNTOUCHED = 60.0
"""Seconds after which an empty folder is no longer one that a process has only just made."""


def _clear_up(path: Path) -> None:
    """Remove what processes that were killed left of ``path``, and bring back what they took away.

    A folder that another process is at work on is held by a lock, which ends with its process. It
    is locked before anything comes into it: an empty one may be of a process that only begins.
    """
    for name in (_replaced(path), _being_written(path)):
        for folder in sorted(path.parent.glob(f"{glob.escape(name)}????????")):
            with contextlib.suppress(OSError), _held(folder) as alone:
                young = time.time() - folder.stat().st_mtime < UNTOUCHED
                if not alone or (young and not any(folder.iterdir())):
                    continue
                old = folder / path.name
                if name == _replaced(path) and old.exists() and not path.exists():
                    old.replace(path)
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Lock ``folder`` for this process; False where another has it, or the system cannot tell."""
    if sys.platform == "win32":
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)
