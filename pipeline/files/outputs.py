"""Files and folders that appear whole or not at all.

A folder of results replaces the one before in two renames. Whatever ends the work before or between
them, an error, Ctrl-C or a kill, the old folder is there or comes back.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath

from pipeline.errors import ColorpipeError
from pipeline.files.listing import THUMBNAIL_FOLDERS, is_hidden

if sys.platform != "win32":
    import fcntl


_FULL = {errno.ENOSPC, errno.EFBIG, *({errno.EDQUOT} if sys.platform != "win32" else ())}
"""A disk, a file or a user's part of a disk is full."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file that becomes ``path`` when the block ends without error.

    The temporary file lies in the same folder, so that the last step is a single rename. An error
    of a full disk, which the system tells without a name, names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".writing-{secrets.token_hex(8)}{path.suffix}"
    # What the umask leaves of these rights is learned from a file: os.umask would change it, for
    # all threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        os.close(handle)
        yield temporary
        # Some libraries put another file in its place, which only its owner may read.
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if error.filename is None and error.errno in _FULL:
            error.filename = str(path)
        raise
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
    """Refuse to replace a folder that holds somebody's files; to be called before any work.

    What a stage wrote is recognized by its layout, not by a mark: outputs are hashed and compared,
    and a folder that DVC brought from elsewhere has to pass as well. Files that a desktop or a NAS
    left in it (``.DS_Store``, ``@eaDir``) do not matter.

    Args:
        out: the folder to be written.
        option: the option that names another folder ("--clean").
        near: what else the stage reads or writes. ``out`` must not be, contain or lie inside it.
        known: whether the stage writes a file of this path, relative to ``out``, with slashes.
        looks_own: whether the stage wrote this file, by its content; called for a few files.
        unknown: what to say of a file that is not ``known``.

    Raises:
        ColorpipeError: ``out`` is a file, overlaps with ``near``, holds a file that the stage does
            not write, or cannot be made where it is to be.
    """
    place = out.resolve()
    check_place(place if out.is_symlink() else out, option)
    for path in near:
        other = path.resolve()
        if place == other or place in other.parents or other in place.parents:
            raise ColorpipeError(
                f"{out}, which will be replaced, and {path} overlap; name another folder with"
                f" {option}."
            )
    if not out.exists():
        return
    if not out.is_dir():
        raise ColorpipeError(
            f"{out} is a file, but a folder is to be written there; move it away, or name a folder"
            f" with {option}."
        )
    files = list(_files_that_matter(out))
    foreign = next((file for file in files if not known(file)), None)
    if foreign is None and looks_own is not None:
        sample = files[:: -(-len(files) // SAMPLE) or 1]
        foreign = next((file for file in sample if not looks_own(out / file)), None)
    if foreign is not None:
        raise ColorpipeError(
            f"{out} would be replaced, but it holds {foreign}, which {unknown}; move it to another"
            f" place, or name another folder with {option}."
        )


def check_place(path: Path, option: str, *, is_kept: bool = False) -> None:
    """Refuse to make a file or folder where that is not possible; to be called before any work.

    Args:
        path: what is to be made; folders above it need not be there.
        option: the option that names another place ("--model").
        is_kept: whether ``path`` is a folder that files are added to if it is there already.

    Raises:
        ColorpipeError: something above ``path`` is no folder, or may not be written to; or
            ``path`` itself, if it is kept.
    """
    place = path.absolute()
    folders = (place, *place.parents) if is_kept else place.parents
    above = next(each for each in folders if os.path.lexists(each))
    if not above.is_dir():
        raise ColorpipeError(
            f"{path} cannot be written, because {above} is no folder; name another place with"
            f" {option}."
        )
    by_whom = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    if not os.access(above, os.W_OK | os.X_OK, **by_whom):
        raise ColorpipeError(
            f"{path} cannot be written, because the folder {above} may not be written to; name"
            f" another place with {option}."
        )


SAMPLE = 16
"""Files whose content :func:`check_replaceable` looks at: with more, a large folder takes long."""


def _files_that_matter(folder: Path) -> Iterator[str]:
    """Yield the files at any depth, relative to ``folder``, in a fixed order.

    Hidden files do not matter, but the content of a hidden folder does: it may be ``.git``.
    """
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - THUMBNAIL_FOLDERS)
        inside = Path(where).relative_to(folder)
        for name in sorted(files):
            if not is_hidden(PurePath(name)):
                yield (inside / name).as_posix()


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``path`` when the block ends without error.

    What was at ``path`` is replaced then, and stays untouched if the block fails; whether it may be
    replaced is for :func:`check_replaceable` to say. Where ``path`` is a link to a folder, that
    folder is replaced and the link stays.

    Raises:
        ColorpipeError: the disk is full, something could not be read or written, or another process
            put its own folder at ``path`` just when this one was to go there.
    """
    try:
        with _replacement(path.resolve() if path.is_symlink() else path) as temporary:
            yield temporary
    except OSError as error:
        raise ColorpipeError(
            f"{path} was not written, and what was there is unchanged: {reason_of(error)}."
        ) from error


def reason_of(error: OSError) -> str:
    """Return what the operating system said, and about which file if that is known."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{reason} ({error.filename})"


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(path)
    # Not by tempfile, whose folders only their owner may enter.
    temporary = path.parent / f"{_being_written(path)}{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        with locked(temporary):
            yield temporary
            _put(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``, and delete what was there once that has succeeded."""
    if not path.exists():
        _take_place(new, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=_replaced(path), dir=path.parent))
    old = aside / path.name
    with locked(aside):
        try:
            try:
                path.replace(old)
            except FileNotFoundError as error:
                raise _overtaken(path) from error
            _take_place(new, path)
        # Ctrl-C may come between any two lines.
        except BaseException:
            if old.exists() and not path.exists():
                old.replace(path)
            raise
        finally:
            if path.exists() or not old.exists():
                shutil.rmtree(aside, ignore_errors=True)


def _take_place(new: Path, path: Path) -> None:
    try:
        new.replace(path)
    except OSError as error:
        # POSIX lets a system choose between the two.
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise _overtaken(path) from error
        raise


def _overtaken(path: Path) -> ColorpipeError:
    return ColorpipeError(
        f"{path} was not written: something else wrote, moved or deleted it at the same moment;"
        " what is there now was left as it is. Run one command at a time into a folder."
    )


def _being_written(path: Path) -> str:
    return f".writing-{path.name}-"


def _replaced(path: Path) -> str:
    return f".replaced-{path.name}-"


JUST_MADE = 60.0
"""Seconds during which an empty folder may be one that another process has only just made."""


def _clear_up(path: Path) -> None:
    """Remove what killed processes left of ``path``, and bring back the folder they took away.

    A folder that a process is at work on is locked, and the lock ends with its process. It is
    locked before anything is written into it, so only an empty one can be a process's that has
    not locked it yet.
    """
    for name in (_replaced(path), _being_written(path)):
        for folder in sorted(path.parent.glob(f"{glob.escape(name)}????????")):
            with contextlib.suppress(OSError), locked(folder) as alone:
                young = time.time() - folder.stat().st_mtime < JUST_MADE
                if not alone or (young and not any(folder.iterdir())):
                    continue
                old = folder / path.name
                if name == _replaced(path) and old.exists() and not path.exists():
                    old.replace(path)
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool | None]:
    """Lock a file or folder; False if another has locked it, None if nobody can tell."""
    if sys.platform == "win32":
        yield None
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        alone: bool | None = None
        # Some network file systems have no locks.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone = True
            except BlockingIOError:
                alone = False
        yield alone
    finally:
        os.close(handle)
