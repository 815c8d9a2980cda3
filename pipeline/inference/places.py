"""Where photos to color come from and their results go: folders as they are, or storage in batches.

What lies behind a URL is listed as the work goes on, a batch of some hundred objects at a time. The
next batch is read while one is colored, each result is uploaded as one object, and the local files
go with their batch: neither memory nor disk grows with the number of photos.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pipeline.errors import ColorpipeError, Failure
from pipeline.files.listing import is_hidden
from pipeline.imaging.kinds import BY_NAME, WRITTEN
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import Existing, Outcome
from pipeline.location import WEB, Location, Url
from pipeline.locations.name_set import NameSet
from pipeline.locations.storage import (
    TRANSFERS,
    Entry,
    Storage,
    StorageError,
    UnreachableError,
    transfer,
)

BATCH = 256
"""Objects of a batch, about; those that could get the same name stay together."""
BATCH_BYTES = 1 << 30
"""A batch is closed when its objects have as many bytes."""

Jobs: TypeAlias = Sequence[Job | Failure]
Find: TypeAlias = Callable[[Path, Path], Iterable[Job | Failure]]
"""Finds what there is to do at a source, a file or a folder, and where the results go."""


class LocalPlaces:
    """Photos and results on this computer: one batch, the files where they are."""

    is_local = True

    def __init__(self, source: Path, out: Path) -> None:
        self.source = source
        self.out = out

    def batches(self, find: Find) -> Iterator[Jobs]:
        """Yield all that there is to do, at once."""
        if jobs := list(find(self.source, self.out)):
            yield jobs

    def prepared(self, batches: Iterable[Jobs]) -> Iterator[Jobs]:
        """Yield the batches: everything is there."""
        yield from batches

    def delivered(self, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes: everything is where it belongs."""
        yield from outcomes

    def named(self, text: str) -> str:
        """Return ``text``: paths are the user's own."""
        return text

    def output(self, path: Path) -> str:
        """Name a result in a report: relative to the folder of the results."""
        if path.parent == self.out.parent:
            return path.name
        return path.relative_to(self.out).as_posix()


class StoragePlaces:
    """Photos or results behind URLs, or both.

    Args:
        source: a file, or a folder of objects.
        out: where the results go.
        existing: what to do about a result that is there.
        work: an empty folder for what is under way.

    Raises:
        ColorpipeError: there is nothing at ``source``, it cannot be listed, ``out`` cannot be
            written to, or holds the photos themselves.
    """

    is_local = False

    def __init__(self, source: Location, out: Location, existing: Existing, work: Path) -> None:
        if isinstance(out, Url) and out.scheme in WEB:
            raise ColorpipeError(f"{out} is on a web server; name a folder or object storage.")
        if isinstance(out, Url) and out.holds(source):
            raise ColorpipeError(
                f"{out} holds the photos themselves; name another place for their colored versions."
            )
        self._from, self._to = source, out
        self._existing = existing
        self._work = work
        self._written = NameSet()
        self._has_uploaded = False
        self._numbers = itertools.count()
        self._is_file = False
        self.source = source if isinstance(source, Path) else work / "in" / source.name
        self.out = out if isinstance(out, Path) else work / "out" / out.name
        if isinstance(source, Url):
            self._read = Storage(source)
            self._is_file = self._read.is_file()
            if self._is_file:
                self.source.parent.mkdir()
                self.source.touch()
            else:
                self.source.mkdir(parents=True)
        self._there = NameSet()
        if isinstance(out, Url):
            # What is written may have the name of ``out`` itself.
            self._write = Storage(out.parent)
            if existing != "overwrite":
                found = Storage(out)
                self._there = NameSet(f"{out.name}/{entry.name}" for entry in found.entries())
                if found.is_file():
                    self._there.add(out.name)

    def batches(self, find: Find) -> Iterator[Jobs]:
        """Find what there is to do, a batch at a time; photos behind URLs are empty files yet."""
        if isinstance(self._from, Path):
            yield from self._of_folder(find)
            return
        if self._is_file:
            yield list(find(self.source, self.out))
            return
        skipped = self._to if isinstance(self._to, Url) and self._from.holds(self._to) else None
        for entries in _in_batches(self._read.entries()):
            folder = self._work / str(next(self._numbers))
            source = folder / "in" / self._from.name
            out = self.out if isinstance(self._to, Path) else folder / "out" / self.out.name
            failures = []
            for entry in entries:
                if skipped is not None and skipped.holds(self._from / entry.name):
                    continue
                if failure := _make_empty(source, entry.name):
                    failures.append(failure)
            if jobs := [*(find(source, out) if source.is_dir() else ()), *failures]:
                yield jobs

    def _of_folder(self, find: Find) -> Iterator[Jobs]:
        """Divide what there is to do in a local folder, and give each part a folder of results."""
        jobs = iter(find(self.source, self.out))
        while batch := list(itertools.islice(jobs, BATCH)):
            out = self._work / str(next(self._numbers)) / "out"
            yield [
                dataclasses.replace(job, target=out / job.target.relative_to(self.out.parent))
                if isinstance(job, Job)
                else job
                for job in batch
            ]

    def prepared(self, batches: Iterable[Jobs]) -> Iterator[Jobs]:
        """Read the photos of each batch, while the one before is in use.

        Of a photo whose result is there, nothing is read: an empty file stands for each.
        """
        waiting = iter(batches)
        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(self._prepare_next, waiting)
            try:
                while (jobs := following.result()) is not None:
                    following = ahead.submit(self._prepare_next, waiting)
                    yield jobs
                    if folder := self._folder_of(jobs):
                        shutil.rmtree(folder, ignore_errors=True)
            finally:
                following.cancel()

    def delivered(self, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Upload the results, each as one object; yield each outcome when its results are there.

        Raises:
            ColorpipeError: nothing has been uploaded yet, and nothing may be.
        """
        with ThreadPoolExecutor(TRANSFERS) as pool:
            pending: deque[Future[Outcome]] = deque()
            for outcome in outcomes:
                pending.append(pool.submit(self._deliver, self._checked(outcome)))
                while pending and (pending[0].done() or len(pending) > 2 * TRANSFERS):
                    yield from self._finished(pending.popleft())
            while pending:
                yield from self._finished(pending.popleft())

    def named(self, text: str) -> str:
        """Put URLs in the place of the local files that stand for them."""
        for kind, place in (("in", self._from), ("out", self._to)):
            if isinstance(place, Url):
                work, end = (re.escape(part) for part in (str(self._work), place.name))
                local = rf"{work}[/\\](\d+[/\\])?{kind}[/\\]{end}"
                text = re.sub(local, str(place).replace("\\", r"\\"), text)
        return text

    def output(self, path: Path) -> str:
        """Name a result in a report: by its URL, or relative to the folder of the results."""
        if isinstance(self._to, Path):
            return LocalPlaces(self.source, self._to).output(path)
        return str(self._to.parent / self._object(path))

    def _object(self, path: Path) -> str:
        """Return the name of a result's object, relative to what ``out`` lies in."""
        parts = path.relative_to(self._work).parts
        return PurePosixPath(*parts[parts.index("out") + 1 :]).as_posix()

    def _prepare_next(self, batches: Iterator[Jobs]) -> Jobs | None:
        jobs = next(batches, None)
        if jobs is None:
            return None
        with ThreadPoolExecutor(TRANSFERS) as pool:
            return [
                Failure(self._called(job), f"could not be read ({done})")
                if isinstance(done, StorageError | OSError)
                else done
                for job, done in transfer(self._prepare, jobs, pool)
            ]

    def _prepare(self, job: Job | Failure) -> Job | Failure:
        """Read a photo, unless its result is there; mark where results are.

        Raises:
            StorageError: it cannot be read.
            OSError: the local file that stands for it cannot be written.
        """
        if isinstance(job, Failure):
            return Failure(self._called(job), job.reason)
        named = dataclasses.replace(job, name=self._called(job))
        if self._existing != "overwrite":
            if isinstance(self._to, Url) and len(self._there) and not self._is_marked(job.target):
                self._mark_results(job.target)
            if os.path.lexists(job.target):
                return named
        if isinstance(self._from, Path):
            return named
        sidecars = [job.hints] if isinstance(job.hints, Path) else []
        for path in (job.source, *sidecars):
            name = "" if self._is_file else _relative(path, job)
            self._read.read(name, path)
        return named

    def _called(self, job: Job | Failure) -> str:
        """Return what a photo is called in a report."""
        name = job.name if isinstance(job, Job) else job.what
        if isinstance(self._from, Path):
            return name
        return str(self._from if self._is_file else self._from / name)

    def _mark_results(self, target: Path) -> None:
        """Put an empty file wherever a photo could be written to, too, and an object is there."""
        for suffix in {suffix for name in WRITTEN for suffix in BY_NAME[name].suffixes}:
            self._is_marked(target.with_suffix(suffix))
            for number in itertools.count(1):
                if not self._is_marked(target.with_name(f"{target.stem}-{number}{suffix}")):
                    break

    def _is_marked(self, path: Path) -> bool:
        """Whether the object that ``path`` stands for is there, which an empty file then says."""
        if self._object(path) not in self._there:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return True

    def _checked(self, outcome: Outcome) -> Outcome:
        """Refuse a result that would get the place of another one of this run."""
        if not isinstance(self._to, Url) or outcome.status not in {"colorized", "damaged"}:
            return outcome
        for path in outcome.outputs:
            name = self._object(path)
            if name in self._written:
                reason = f"would be written to {self.output(path)}, as another photo is"
                return dataclasses.replace(outcome, status="failed", reason=reason)
            self._written.add(name)
        return outcome

    def _deliver(self, outcome: Outcome) -> Outcome:
        outcome = dataclasses.replace(outcome, reason=self.named(outcome.reason))
        if not isinstance(self._to, Url) or outcome.status not in {"colorized", "damaged"}:
            return outcome
        try:
            if (path := self._in_the_way(outcome)) is not None:
                reason = f"{self.output(path)} is there already; use --overwrite"
                return Outcome(outcome.name, "failed", reason=reason)
            for path in outcome.outputs:
                self._write.write(path, self._object(path))
                self._has_uploaded = True
        except StorageError as error:
            is_barred = isinstance(error, UnreachableError) or isinstance(
                error.__cause__, PermissionError | FileNotFoundError
            )
            if is_barred and not self._has_uploaded:
                # Otherwise an archive would be colored before somebody reads why it was in vain.
                raise ColorpipeError(
                    f"{self._to} could not be written to: {error}; check the URL, the"
                    " credentials, the region and the endpoint."
                ) from error
            reason = f"the result could not be uploaded ({error})"
            return Outcome(outcome.name, "failed", reason=reason)
        return outcome

    def _in_the_way(self, outcome: Outcome) -> Path | None:
        """Return the result of a single photo that an object is in the place of.

        The names of its pages are known now that they are written. What a folder's photos may be
        written to was listed.
        """
        assert isinstance(self._to, Url)
        if self._existing == "overwrite" or not self.source.is_file():
            return None
        place = self._to.parent
        taken = (path for path in outcome.outputs if Storage(place / self._object(path)).is_file())
        return next(taken, None)

    def _finished(self, future: Future[Outcome]) -> Iterator[Outcome]:
        outcome = future.result()
        yield outcome
        if isinstance(self._to, Url):
            for path in outcome.outputs:
                path.unlink(missing_ok=True)

    def _folder_of(self, jobs: Jobs) -> Path | None:
        """Return the folder of a batch, with the local files that go with it."""
        for job in jobs:
            for path in (job.source, job.target) if isinstance(job, Job) else ():
                if path.is_relative_to(self._work):
                    first = path.relative_to(self._work).parts[0]
                    return self._work / first if first.isdecimal() else None
        return None


Places: TypeAlias = LocalPlaces | StoragePlaces


@contextlib.contextmanager
def open_places(source: Location, out: Location, existing: Existing) -> Iterator[Places]:
    """Give the places of photos and results; errors name URLs, not what stands for them.

    Raises:
        ColorpipeError: as :class:`StoragePlaces` and the block raise it.
    """
    if isinstance(source, Path) and isinstance(out, Path):
        yield LocalPlaces(source, out)
        return
    with tempfile.TemporaryDirectory(prefix="colorpipe-", ignore_cleanup_errors=True) as folder:
        places = StoragePlaces(source, out, existing, Path(folder))
        try:
            yield places
        except ColorpipeError as error:
            raise type(error)(places.named(str(error))) from error


def _in_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Divide a listing, but not between objects whose results could have the same name.

    All that begin with ``a.`` follow each other: ``a.jpg``, ``a.jpg.hints.json``, ``a.png``.
    """
    batch: list[Entry] = []
    size, together = 0, ""
    for entry in entries:
        full = len(batch) >= BATCH or size >= BATCH_BYTES
        if full and not entry.name.startswith(together):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.bytes
        if not (together and entry.name.startswith(together)):
            together = f"{entry.name.rpartition('.')[0] or entry.name}."
    if batch:
        yield batch


def _make_empty(folder: Path, name: str) -> Failure | None:
    """Make an empty file where an object will be, or say why it cannot have its name here."""
    parts = name.split("/")
    # What the web pages of a storage call a folder is an object of no bytes.
    if not parts[-1] or is_hidden(PurePosixPath(name)):
        return None
    if any(part in {"", ".", ".."} or "\0" in part or os.sep in part for part in parts):
        return Failure(name, "a file cannot have its name")
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        return Failure(name, f"a file cannot have its name ({error.strerror})")
    return None


def _relative(path: Path, job: Job) -> str:
    """Return the name of the object that ``path``, the photo itself or what lies beside it, has."""
    return (PurePosixPath(job.name).parent / path.name).as_posix()
