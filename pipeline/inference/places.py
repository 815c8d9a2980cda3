"""Where photos to color come from and their results go: folders as they are, or storage in batches.

What lies behind a URL is listed as the work goes on, a batch of some hundred objects at a time. The
command decides by their names what there is to do. Who colors a photo reads it and uploads its
result (:mod:`pipeline.inference.stored_files`), so that neither memory nor disk grows with the
number of photos, and the command does not wait for any of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

from pipeline.errors import ColorpipeError, Failure
from pipeline.imaging.decode import read_bytes
from pipeline.imaging.errors import ImageError
from pipeline.imaging.kinds import WRITTEN
from pipeline.inference.files import Files, LocalFiles
from pipeline.inference.jobs import Job, Rival, is_photo_job, rival_of, stems_of
from pipeline.inference.outcomes import Item, Outcome
from pipeline.inference.stored_files import StandIns, StoredFiles, through_files
from pipeline.inference.streaming import Existing
from pipeline.location import WEB, Location, Url
from pipeline.locations.name_set import NameSet
from pipeline.locations.storage import Entry, Storage, StorageError

BATCH = 256
"""Objects of a batch, about; those that could get the same name stay together."""

R = TypeVar("R")
Items: TypeAlias = Sequence[Item]
Find: TypeAlias = Callable[[Sequence[str] | None], Iterable[Job | Failure]]
"""Finds what there is to do: of files that are listed, or else of those that are here."""


class LocalPlaces:
    """Photos and results on this computer: one batch, the files where they are."""

    is_local = True
    files: Callable[[], contextlib.AbstractContextManager[Files]] = LocalFiles
    """What the processes that color get at photos and results by."""
    was_free: Callable[[Job], bool] | None = None
    """Whether nothing was at first where a photo's results go; None is what the folders say."""

    def __init__(self, source: Path, out: Path) -> None:
        self.source = source
        self.out = out
        self.shared = [source]
        self.shared_out = out

    def batches(self, find: Find) -> Iterator[Items]:
        """Yield all that there is to do, at once."""
        if jobs := list(find(None)):
            yield jobs

    def on_files(
        self, work: Callable[..., Iterator[R]], job: Job, *arguments: object
    ) -> Callable[..., Iterator[R | Outcome]]:
        """Return ``work`` on ``job``, to be done by another process."""
        return functools.partial(work, job, *arguments)

    def checked(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes: what goes wrong with a file says nothing about the next one."""
        yield from outcomes

    def named(self, text: str) -> str:
        """Return ``text``: paths are the user's own."""
        return text

    def output(self, path: Path) -> str:
        """Name a result in a report: relative to the folder of the results."""
        if path.parent == self.out.parent:
            return path.name
        return path.relative_to(self.out).as_posix()

    def result(self, path: Path) -> bytes:
        """Return a result.

        Raises:
            ImageError: it cannot be read.
        """
        return read_bytes(path)


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
        self._stand_ins = StandIns(work, source, out)
        self.source, self.out = self._stand_ins.source, self._stand_ins.out
        self.shared = [source] if isinstance(source, Path) else []
        self.shared_out = out if isinstance(out, Path) else None
        self.files = functools.partial(StoredFiles, self._stand_ins)
        self._has_delivered = False
        self._is_file = False
        if isinstance(source, Url):
            self._read = Storage(source)
            self._is_file = self._read.is_file()
            if self._is_file:
                self.source.parent.mkdir()
                self.source.touch()
            else:
                self.source.mkdir(parents=True)
        self._there = NameSet()
        self.was_free = self._was_free if isinstance(out, Url) else None
        if isinstance(out, Url) and existing != "overwrite":
            found = Storage(out)
            for entry in found.entries():
                self._add(f"{out.name}/{entry.name}")
            if found.is_file():
                self._add(out.name)

    def batches(self, find: Find) -> Iterator[Items]:
        """Find what there is to do, a batch at a time, and the next while one is handed out."""
        batches = self._of_folder(find) if isinstance(self._from, Path) else self._listed(find)
        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(next, batches, None)
            while (batch := following.result()) is not None:
                following = ahead.submit(next, batches, None)
                yield batch

    def on_files(
        self, work: Callable[..., Iterator[R]], job: Job, *arguments: object
    ) -> Callable[..., Iterator[R | Outcome]]:
        """Return ``work`` on ``job``, to be done by another process, which transfers the files."""
        return functools.partial(through_files, self._stand_ins, work, job, *arguments)

    def checked(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes.

        Raises:
            ColorpipeError: nothing has been uploaded yet, and nothing may be: to color the rest of
                an archive would be in vain.
        """
        for outcome in outcomes:
            if outcome.barred and not self._has_delivered:
                raise ColorpipeError(
                    f"{self._to} could not be written to: {outcome.barred}; check the URL, the"
                    " credentials, the region and the endpoint."
                )
            self._has_delivered |= outcome.status in {"colorized", "damaged"}
            yield outcome

    def named(self, text: str) -> str:
        """Put URLs in the place of the paths that stand for them."""
        for path in (self.source, self.out):
            text = text.replace(str(path), self._stand_ins.named(path))
        return text

    def output(self, path: Path) -> str:
        """Name a result in a report: by its URL, or relative to the folder of the results."""
        if isinstance(self._to, Path):
            return LocalPlaces(self.source, self._to).output(path)
        return self._stand_ins.named(path)

    def result(self, path: Path) -> bytes:
        """Return a result.

        Raises:
            ImageError: it cannot be read.
        """
        if isinstance(self._to, Path):
            return read_bytes(path)
        with tempfile.TemporaryDirectory(dir=self._stand_ins.folder) as folder:
            copy = Path(folder, path.name)
            try:
                Storage(self._to.parent).read(self._stand_ins.result(path), copy)
            except (StorageError, OSError) as error:
                raise ImageError(f"could not be read ({error})") from error
            return read_bytes(copy)

    def _of_folder(self, find: Find) -> Iterator[Items]:
        """Divide what there is to do in a local folder."""
        jobs = iter(find(None))
        while batch := list(itertools.islice(jobs, BATCH)):
            yield [self._decided(job, {}) for job in batch]

    def _listed(self, find: Find) -> Iterator[Items]:
        """Find what there is to do behind a URL, by the names of the objects."""
        assert isinstance(self._from, Url)
        # Of a folder, which is empty here, that says whether the results may go where they are to.
        if jobs := [self._decided(job, {}) for job in find(None)]:
            yield jobs
        if self._is_file:
            return
        skipped = self._to if isinstance(self._to, Url) and self._from.holds(self._to) else None
        numbered = _Numbered()
        for entries in _in_batches(self._read.entries()):
            sizes = {
                entry.name: entry.bytes
                for entry in entries
                if skipped is None or not skipped.holds(self._from / entry.name)
            }
            found = numbered.with_earlier(list(find(list(sizes))), entries[-1])
            if batch := [self._decided(job, sizes) for job in found]:
                yield batch

    def _decided(self, job: Job | Failure, sizes: Mapping[str, int]) -> Item:
        """Return a job as a worker needs it, or what becomes of it: its result may be there."""
        if isinstance(job, Failure):
            return Failure(self._called(job.what), job.reason)
        name = self._called(job.name)
        if self._existing == "overwrite" or not self._is_there(job.target):
            return dataclasses.replace(job, name=name, bytes=sizes.get(job.name, 0))
        if self._existing == "skip":
            return Outcome(name, "skipped", (job.target,))
        there = self._stand_ins.named(job.target)
        return Failure(name, f"{there} is there already; use --overwrite or --skip-existing")

    def _called(self, name: str) -> str:
        """Return what a photo is called in a report."""
        if isinstance(self._from, Path):
            return name
        return str(self._from if self._is_file else self._from / name)

    def _is_there(self, target: Path) -> bool:
        if isinstance(self._to, Path):
            return os.path.lexists(target)
        return self._stand_ins.result(target) in self._there

    def _add(self, name: str) -> None:
        self._there.add(name)
        for document in stems_of(name)[1:]:
            # Whatever its number, it may be a page of this one.
            self._there.add(f"{document}-")

    def _was_free(self, job: Job) -> bool:
        # What is beside the result of a single photo was not listed.
        is_alone = self.source.is_file()
        stem = stems_of(self._stand_ins.result(job.target))[0]
        names = (f"{stem}-", *(f"{stem}.{extension}" for extension in WRITTEN))
        return not is_alone and not any(name in self._there for name in names)


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
            # The error stays what it is: not every kind is made from its sentence.
            error.args = (places.named(str(error)),)
            raise
        finally:
            # Of processes of this machine that were killed.
            for left in Path(folder).parent.glob(f"{Path(folder).name}-*"):
                shutil.rmtree(left, ignore_errors=True)


class _Numbered:
    """Photos of earlier batches that are named like a page: ``scan-2.png``.

    A ``scan.tif`` of a later batch may want such a name. In the order of the listing, nothing comes
    between the two but names that begin with ``scan-`` or ``scan.``; then they are forgotten.
    """

    def __init__(self) -> None:
        self._rivals: dict[str, list[Rival]] = {}

    def with_earlier(self, jobs: Sequence[Job | Failure], last: Entry) -> list[Job | Failure]:
        """Add such rivals to the jobs of a batch, and remember its own; ``last`` is its end."""
        result: list[Job | Failure] = []
        for job in jobs:
            earlier = self._rivals.get(stems_of(job.name)[0]) if is_photo_job(job) else None
            if earlier and isinstance(job, Job):
                result.append(dataclasses.replace(job, rivals=(*job.rivals, *earlier)))
            else:
                result.append(job)
        for job in filter(is_photo_job, jobs):
            for document in stems_of(job.name)[1:]:
                self._rivals.setdefault(document, []).append(rival_of(job))
        # The code point after that of the dot is the slash's.
        self._rivals = {
            document: rivals
            for document, rivals in self._rivals.items()
            if last.name < f"{document}/"
        }
        return result


def _in_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Divide a listing, but not between objects whose results could have the same name.

    All that begin with ``a.`` follow each other: ``a.jpg``, ``a.jpg.hints.json``, ``a.png``.
    """
    batch: list[Entry] = []
    together = ""
    for entry in entries:
        if len(batch) >= BATCH and not entry.name.startswith(together):
            yield batch
            batch = []
        batch.append(entry)
        if not (together and entry.name.startswith(together)):
            folder, slash, file = entry.name.rpartition("/")
            together = f"{folder}{slash}{file.rpartition('.')[0] or file}."
    if batch:
        yield batch
