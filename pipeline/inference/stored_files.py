"""Photos and results behind URLs, in the process that colors: read ahead, uploaded, not kept.

The command only lists; whoever colors a photo reads it and uploads its result, on whichever machine
that is. A photo is in memory from when it is read, some ahead of the one that is colored, and so is
a result until it is uploaded, as one object.
"""

from __future__ import annotations

import platform
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipeline.errors import ColorpipeError, Failure
from pipeline.inference.files import LocalFiles
from pipeline.inference.hints import hints_of
from pipeline.inference.jobs import Job
from pipeline.inference.outcomes import Item, Outcome
from pipeline.location import Location, Url
from pipeline.locations.storage import (
    TRANSFER_BYTES,
    TRANSFERS,
    Storage,
    StorageError,
    UnreachableError,
    transfer,
)

R = TypeVar("R")

_reached: set[Url] = set()
"""Where this process was let in."""


@dataclass(frozen=True)
class StandIns:
    """Paths that stand for what lies behind URLs, wherever they are sent to; no file is there.

    A photo, or a folder of them, is ``in`` in the folder, the results are ``out``, each under the
    last part of its URL. Paths of this computer stand for themselves.
    """

    folder: Path
    photos: Location
    results: Location

    @property
    def source(self) -> Path:
        """The photos."""
        return self._of("in", self.photos)

    @property
    def out(self) -> Path:
        """The results."""
        return self._of("out", self.results)

    def _of(self, kind: str, place: Location) -> Path:
        return place if isinstance(place, Path) else self.folder / kind / place.name

    def photo(self, path: Path) -> str:
        """Return the name of a photo's object, relative to the URL of the photos."""
        name = path.relative_to(self.source).as_posix()
        return "" if name == "." else name

    def result(self, path: Path) -> str:
        """Return the name of a result's object, relative to what the URL of the results lies in."""
        return path.relative_to(self.folder / "out").as_posix()

    def named(self, path: Path) -> str:
        """Return the URL that a path stands for."""
        if isinstance(self.photos, Url) and path.is_relative_to(self.source):
            return str(self.photos / self.photo(path))
        if isinstance(self.results, Url) and path.is_relative_to(self.folder / "out"):
            return str(self.results.parent / self.result(path))
        return str(path)


class StoredFiles(AbstractContextManager["StoredFiles"]):
    """What is behind URLs; see :class:`pipeline.inference.files.Files`.

    Raises:
        ColorpipeError: the storage cannot be reached from this machine.
    """

    def __init__(self, places: StandIns) -> None:
        self._places = places
        self._local = LocalFiles()
        self._read: dict[Path, bytes] = {}
        self._results: dict[str, dict[Path, bytes]] = {}
        """Of each photo, until they are uploaded."""
        self._from = self._to = None
        if isinstance(places.photos, Url):
            self._from = _opened(places.photos)
        if isinstance(places.results, Url):
            # What is written may have the name of the place itself.
            self._to = Storage(places.results.parent)
        self._pool = ThreadPoolExecutor(TRANSFERS)
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{places.folder.name}-", ignore_cleanup_errors=True
        )

    def __exit__(self, *_: object) -> None:
        """End what is under way."""
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def ahead(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, each when its photo is read; a bounded number is being read by then."""
        if self._from is None:
            yield from items
            return
        for item, done in transfer(self._fetch, items, self._pool, _bytes):
            if isinstance(done, StorageError | OSError):
                assert isinstance(item, Job)
                yield Failure(item.name, f"could not be read ({_said(done)})")
            else:
                yield done

    def photo(self, path: Path) -> Path | bytes:
        """Return a photo; of one that was not read ahead, now."""
        if self._from is None:
            return path
        data = self._read.pop(path, None)
        return self._object(self._from, path) if data is None else data

    def taken(self, job: Job, paths: Sequence[Path]) -> list[Path]:
        """Return those of ``paths`` where something is: of names that the command did not know."""
        if self._to is None:
            return self._local.taken(job, paths)
        found = self._to
        # It has looked at ``target`` before it handed the job out.
        others = (path for path in paths if path != job.target)
        return [path for path in others if found.has(self._places.result(path))]

    def write(self, job: Job, path: Path, data: bytes, *, replace: bool) -> None:
        """Take a result, which is uploaded when all of its photo's are there."""
        if self._to is None:
            self._local.write(job, path, data, replace=replace)
        else:
            self._results.setdefault(job.name, {})[path] = data

    def named(self, path: Path) -> str:
        """Return a URL."""
        return self._places.named(path)

    def delivered(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield outcomes in their order, each when its results are uploaded."""
        pending: deque[tuple[Future[Outcome], int]] = deque()
        under_way = 0
        for outcome in outcomes:
            results = self._results.pop(outcome.name, {})
            size = sum(map(len, results.values()))
            pending.append((self._pool.submit(self._deliver, outcome, results), size))
            under_way += size
            while pending and (
                pending[0][0].done() or len(pending) > 2 * TRANSFERS or under_way > TRANSFER_BYTES
            ):
                future, size = pending.popleft()
                under_way -= size
                yield future.result()
        for future, _ in pending:
            yield future.result()

    def _fetch(self, item: Item) -> Item:
        """Read a photo, and the hints beside it.

        Raises:
            StorageError: it cannot be read.
            OSError: there is no room for it.
        """
        if self._from is None or not isinstance(item, Job):
            return item
        if isinstance(item.hints, Path):
            data = self._object(self._from, item.hints)
            try:
                item = replace(item, hints=hints_of(data, self.named(item.hints)))
            except ColorpipeError as error:
                return Failure(item.name, f"its hints cannot be used ({error})")
        # Last: what is kept here is taken by whoever colors it, and by nobody else.
        self._read[item.source] = self._object(self._from, item.source)
        return item

    def _object(self, storage: Storage, path: Path) -> bytes:
        with self._passing(path.suffix) as file:
            storage.read(self._places.photo(path), file)
            return file.read_bytes()

    def _deliver(self, outcome: Outcome, results: dict[Path, bytes]) -> Outcome:
        if self._to is None or outcome.status not in {"colorized", "damaged"}:
            return outcome
        try:
            for path, data in results.items():
                with self._passing(path.suffix) as file:
                    file.write_bytes(data)
                    self._to.write(file, self._places.result(path))
        except (StorageError, OSError) as error:
            return _not_uploaded(outcome.name, error)
        return outcome

    @contextmanager
    def _passing(self, suffix: str) -> Iterator[Path]:
        """Give a file for as long as it takes to read or to upload an object.

        Storage libraries want a file, and its extension to tell the kind of its content.
        """
        path = Path(self._folder.name, secrets.token_hex(8) + suffix)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def through_files(
    places: StandIns, work: Callable[..., Iterator[R]], job: Job, *arguments: object
) -> Iterator[R | Outcome]:
    """Do a single piece of work on a film, which is too large for memory, on the command's machine.

    Args:
        places: what is behind URLs.
        work: is given ``job`` with files of its own, and ``arguments``; it ends with the outcome.
        job: what to read and where to write.
        arguments: for ``work``.
    """
    with tempfile.TemporaryDirectory(dir=places.folder, ignore_cleanup_errors=True) as folder:
        own = job
        try:
            if isinstance(places.photos, Url):
                own = replace(own, source=Path(folder, "in", job.source.name))
                Storage(places.photos).read(places.photo(job.source), own.source)
        except (StorageError, OSError) as error:
            yield Outcome(job.name, "failed", reason=f"could not be read ({_said(error)})")
            return
        if isinstance(places.results, Url):
            own = replace(own, target=Path(folder, "out", job.target.name))
        for step in work(own, *arguments):
            yield _uploaded(step, places, job, own) if isinstance(step, Outcome) else step


def _uploaded(outcome: Outcome, places: StandIns, job: Job, own: Job) -> Outcome:
    reason = outcome.reason
    for path, stand_in in ((own.source, job.source), (own.target, job.target)):
        reason = reason.replace(str(path), places.named(stand_in))
    if isinstance(places.results, Url) and outcome.outputs:
        try:
            Storage(places.results.parent).write(own.target, places.result(job.target))
        except StorageError as error:
            return _not_uploaded(job.name, error)
    return replace(outcome, reason=reason, outputs=(job.target,) if outcome.outputs else ())


def _not_uploaded(name: str, error: StorageError | OSError) -> Outcome:
    """Return the outcome of a photo or a film of which a result could not be uploaded."""
    is_barred = isinstance(error, UnreachableError) or isinstance(
        error.__cause__, PermissionError | FileNotFoundError
    )
    said = _said(error)
    reason = f"the result could not be uploaded ({said})"
    return Outcome(name, "failed", reason=reason, barred=said if is_barred else "")


def _opened(url: Url) -> Storage:
    """Return the storage, which this machine may lack the network or the credentials for.

    Raises:
        ColorpipeError: it does.
    """
    try:
        storage = Storage(url)
        if url not in _reached:
            storage.is_file()
            _reached.add(url)
    except ColorpipeError as error:
        raise ColorpipeError(f"On the machine {platform.node()}: {error}") from error
    return storage


def _said(error: StorageError | OSError) -> str:
    # Not of which file: it only stood for an object.
    return str(error) if isinstance(error, StorageError) else error.strerror or str(error)


def _bytes(item: Item) -> int:
    return item.bytes if isinstance(item, Job) else 0
