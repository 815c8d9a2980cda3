"""Folders of results in object storage, as a reader can rely on them.

An object appears by one upload, but a folder of them does not. So a folder has a listing, the
object ``.listing.csv``: names, sizes and what the storage says of the content. It is replaced once
all new objects are there; only then are those deleted that are no longer part of the folder. As
long as this goes on, an object ``.uploading.csv`` names what comes, goes or stays. Who reads a
folder refuses one that has this object, and one that is not what its listing says.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import read_table, require_table, write_table
from pipeline.files.listing import files_below, is_hidden
from pipeline.files.outputs import reason_of
from pipeline.location import WEB, Url
from pipeline.locations.storage import TRANSFERS, Entry, Storage, StorageError, transfer

LISTING = ".listing.csv"
UPLOADING = ".uploading.csv"
_AGAIN = "run the stage that writes it again"


def fetch_folder(url: Url, folder: Path) -> list[Failure]:
    """Read what lies below ``url`` into the new ``folder``, but for hidden names.

    Returns:
        A failure for each object that could not be read, though that was tried several times.

    Raises:
        ColorpipeError: nothing is there, it cannot be listed, is not what its listing says, or no
            object can be read.
    """
    storage = Storage(url)
    entries = {entry.name: entry for entry in storage.entries()}
    _require_whole(storage, entries)
    names = [name for name in entries if _matters(name)]
    if not names:
        raise _nothing_at(url)
    folder.mkdir(parents=True)
    failures = []
    with ThreadPoolExecutor(TRANSFERS) as pool:
        for name, error in transfer(partial(_fetch, storage, folder, entries), names, pool):
            if error is not None:
                failures.append(Failure(str(url / name), f"could not be read ({error})"))
    if len(failures) == len(names):
        raise ColorpipeError(
            f"{failures[0].what} {failures[0].reason}, nor could any other object of {url}; check"
            " what the credentials permit, and the endpoint."
        )
    return failures


def _fetch(storage: Storage, folder: Path, entries: Container[str], name: str) -> None:
    parts = name.split("/")
    if any(part in {"", ".", ".."} or "\0" in part or "\\" in part for part in parts):
        raise StorageError("a file cannot have its name")
    if any("/".join(parts[:depth]) in entries for depth in range(1, len(parts))):
        raise StorageError("another object has the name of its folder")
    path = folder.joinpath(*parts)
    try:
        storage.read(name, path)
    except StorageError:
        path.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise StorageError(error.strerror or str(error)) from error


def fetch_file(url: Url, path: Path) -> bool:
    """Read the object ``url`` into ``path``; False if it is not there.

    Raises:
        ColorpipeError: it is there and could not be read.
    """
    storage = Storage(url)
    try:
        if not storage.is_file():
            return False
        storage.read("", path)
    except StorageError as error:
        raise ColorpipeError(f"{url} could not be read: {error}.") from error
    return True


def check_publishable(url: Url, option: str) -> None:
    """Refuse to replace a folder that holds somebody's objects; to be called before any work.

    What was published before is known by its listing.

    Raises:
        ColorpipeError: ``url`` is an object or on a web server, holds an object that no stage
            published, or cannot be listed.
    """
    if url.scheme in WEB:
        raise ColorpipeError(
            f"{url} is on a web server, which is only read; name a folder or object storage with"
            f" {option}."
        )
    storage = Storage(url)
    entries = {entry.name: entry for entry in storage.entries()}
    if not entries and storage.is_file():
        raise ColorpipeError(
            f"{url} is an object, but a folder is to be written there; name another with {option}."
        )
    known = _published_before(storage, entries)
    foreign = next((name for name in entries if _matters(name) and name not in known), None)
    if foreign is not None:
        raise ColorpipeError(
            f"{url} would be replaced, but it holds {foreign}, which is not in its {LISTING}; move"
            f" it to another place, or name another folder with {option}."
        )


def publish_folder(folder: Path, url: Url) -> list[Failure]:
    """Make ``url`` what ``folder`` is; objects that are the same already stay.

    Returns:
        A failure for each object that could not be written, though that was tried several times.
        If there is one, nothing is deleted, and readers refuse the folder until it is published
        again.

    Raises:
        ColorpipeError: it cannot be listed, or its listing cannot be written.
    """
    storage = Storage(url)
    there = {entry.name: entry for entry in storage.entries()}
    known = _published_before(storage, there)
    names = list(files_below(folder))
    _write_listing(storage, UPLOADING, [Entry(name, 0, "") for name in {*names, *known}])
    failures = []
    with ThreadPoolExecutor(TRANSFERS) as pool:
        for name, error in transfer(partial(_publish, storage, folder, there), names, pool):
            if error is not None:
                failures.append(Failure(str(url / name), f"could not be written ({error})"))
    if failures:
        reason = "is not whole, and no stage will read it; run this again"
        return [*failures, Failure(str(url), reason)]
    now = {entry.name: entry for entry in storage.entries()}
    missing = next((name for name in names if name not in now), None)
    if missing is not None:
        raise ColorpipeError(
            f"{url / missing} is not there after its upload; somebody else writes to {url}, so run"
            " this again."
        )
    _write_listing(storage, LISTING, [now[name] for name in names])
    try:
        gone = known.difference(names)
        with ThreadPoolExecutor(TRANSFERS) as pool:
            for _, error in transfer(storage.delete, filter(gone.__contains__, now), pool):
                if error is not None:
                    raise error
        storage.delete(UPLOADING)
    except StorageError as error:
        raise ColorpipeError(
            f"Objects of {url} that are no longer part of it could not be deleted ({error}); run"
            " this again."
        ) from error
    return failures


def _publish(storage: Storage, folder: Path, there: Mapping[str, Entry], name: str) -> None:
    path = folder / name
    entry = there.get(name)
    if entry is None or entry.bytes != path.stat().st_size or not _is_md5(path, entry.etag):
        storage.write(path, name)


def _is_md5(path: Path, etag: str) -> bool:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == etag


def save_listing(url: Url, path: Path) -> None:
    """Write the table of what lies at ``url``, but for hidden names, to ``path``.

    Raises:
        ColorpipeError: nothing is there, it is an object, cannot be listed, or is being written; or
            ``path`` cannot be written.
    """
    require_table(path, Entry)
    entries = (entry for entry in _finished(url) if _matters(entry.name))
    try:
        write_table(path, entries, Entry)
    except OSError as error:
        raise ColorpipeError(f"{path} could not be written: {reason_of(error)}.") from error


def _finished(url: Url) -> Iterator[Entry]:
    storage = Storage(url)
    is_empty = True
    for entry in storage.entries():
        if entry.name == UPLOADING:
            raise _unfinished(storage)
        is_empty = False
        yield entry
    if is_empty:
        raise _nothing_at(url)


def _nothing_at(url: Url) -> ColorpipeError:
    return ColorpipeError(f"There is nothing below {url}; name a folder that holds objects.")


def _unfinished(storage: Storage) -> ColorpipeError:
    return ColorpipeError(
        f"{storage.url} is being written, or that was cut off; wait, or {_AGAIN}."
    )


def _require_whole(storage: Storage, entries: Mapping[str, Entry]) -> None:
    if UPLOADING in entries:
        raise _unfinished(storage)
    for listed in _read_listing(storage, LISTING, entries):
        if entries.get(listed.name) != listed:
            raise ColorpipeError(
                f"{storage.url / listed.name} is not what {LISTING} beside it says; {_AGAIN}, or"
                f" delete {LISTING} if somebody changed it on purpose."
            )


def _published_before(storage: Storage, entries: Mapping[str, Entry]) -> set[str]:
    return {
        entry.name
        for name in (LISTING, UPLOADING)
        for entry in _read_listing(storage, name, entries)
    }


def _read_listing(storage: Storage, name: str, entries: Mapping[str, Entry]) -> Iterator[Entry]:
    if name not in entries:
        return
    with tempfile.TemporaryDirectory(prefix="colorpipe-") as folder:
        path = Path(folder) / name
        try:
            storage.read(name, path)
        except StorageError as error:
            raise ColorpipeError(f"{storage.url / name} could not be read: {error}.") from error
        yield from read_table(path, Entry)


def _write_listing(storage: Storage, name: str, entries: Iterable[Entry]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="colorpipe-"))
    try:
        ordered = sorted(entries, key=lambda entry: entry.name)
        write_table(folder / name, ordered, Entry)
        storage.write(folder / name, name)
    except StorageError as error:
        raise ColorpipeError(
            f"{storage.url / name} could not be written: {error}; run this again."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _matters(name: str) -> bool:
    # What the web pages of a storage call a folder is an object of no bytes.
    return not name.endswith("/") and not is_hidden(PurePosixPath(name))
