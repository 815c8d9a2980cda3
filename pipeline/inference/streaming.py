"""Files in, files out, as a stream: bounded memory, every processor busy.

Photos go through in groups of the network's batch. A group stays in one thread from reading to
writing, and its network computes in that thread alone, so that one thread decodes while another
predicts and a third encodes, and none waits for another. How many groups are under way is bounded
by their pixels: memory does not grow with the number of photos, and with their size only as far as
one of them needs. Where the network's pictures are large, fewer groups are handled at once, and the
network has the processors that are left over.

What goes wrong with one photo, expected or not, is that photo's failure.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import Failure, StoppedError
from pipeline.files.outputs import new_file
from pipeline.files.parallel import cores
from pipeline.imaging.decode import ImageError
from pipeline.imaging.formats import photo_file as photo_files
from pipeline.imaging.formats.photo_file import FormatName, PhotoFile
from pipeline.imaging.gray_photo import GrayPhoto, Tint
from pipeline.inference.colorizer import BATCH_SIZE, Colorizer
from pipeline.inference.jobs import Job
from pipeline.models.device import is_out_of_memory

PIXELS_UNDER_WAY = 48_000_000
"""A group is taken up while those under way have fewer pixels in all; one is always taken."""
PIXELS_IN_GROUP = 12_000_000
"""A group is closed when it has as many, though it be smaller than the network's batch."""
NETWORK_PIXELS = 2048**2
"""The network's pictures under way have at most as many pixels, unless one alone or batches of the
usual size, one a worker, have more."""

Existing = Literal["refuse", "skip", "overwrite"]


@dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    name: str
    status: Literal["colorized", "skipped", "failed"]
    output: Path | None = None
    reason: str = ""


@dataclass
class _Group:
    """Photos that go through the network together, and those between them that need not."""

    entries: list[Job | Outcome] = field(default_factory=list)
    jobs: int = 0
    pixels: int = 0


def colorize_files(
    colorizer: Colorizer,
    jobs: Iterable[Job | Failure],
    *,
    existing: Existing = "refuse",
    extension: FormatName | None = None,
    workers: int | None = None,
) -> Iterator[Outcome]:
    """Colorize files and yield what became of each, in the order of ``jobs``.

    Args:
        colorizer: the trained generator.
        jobs: what to read and where to write; a Failure comes out again as failed.
        existing: what to do about a file that is there: refuse it, skip it, or write over it.
        extension: the format to write; None is each photo's own.
        workers: processors to use, a thread each as far as memory goes; None is all.
    """
    workers = workers or cores()
    threads = _threads(colorizer, workers)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")
    under_way: deque[tuple[_Group, Future[list[Outcome]]]] = deque()
    pixels = 0

    def finish_first() -> list[Outcome]:
        nonlocal pixels
        group, future = under_way.popleft()
        pixels -= group.pixels
        return future.result()

    try:
        with colorizer.predictor.in_threads(workers // threads):
            for group in _groups(jobs, existing, colorizer.batch):
                while under_way and (
                    len(under_way) > threads or pixels + group.pixels > PIXELS_UNDER_WAY
                ):
                    yield from finish_first()
                pixels += group.pixels
                future = pool.submit(_colorize_group, colorizer, group, extension, existing)
                under_way.append((group, future))
            while under_way:
                yield from finish_first()
    finally:
        pool.shutdown(cancel_futures=True)


def _threads(colorizer: Colorizer, workers: int) -> int:
    """Return how many groups are handled at once: fewer than ``workers`` where they are large."""
    usual = workers * colorizer.predictor.batch * BATCH_SIZE**2
    most = max(NETWORK_PIXELS, usual) // (colorizer.batch * colorizer.size**2)
    return min(workers, max(most, 1))


def _groups(jobs: Iterable[Job | Failure], existing: Existing, batch: int) -> Iterator[_Group]:
    group = _Group()
    for job in jobs:
        entry = _decided(job, existing)
        pixels = photo_files.pixels_of(entry.source) if isinstance(entry, Job) else 0
        is_full = group.jobs >= batch or len(group.entries) >= 100 * batch
        if group.entries and (is_full or group.pixels + pixels > PIXELS_IN_GROUP):
            yield group
            group = _Group()
        group.entries.append(entry)
        group.jobs += isinstance(entry, Job)
        group.pixels += pixels
    if group.entries:
        yield group


def _decided(job: Job | Failure, existing: Existing) -> Job | Outcome:
    """Return what becomes of a job without reading its photo, or the job if that is open."""
    if isinstance(job, Failure):
        return Outcome(job.what, "failed", reason=job.reason)
    if existing == "overwrite" or not os.path.lexists(job.target):
        return job
    if existing == "skip":
        return Outcome(job.name, "skipped", job.target)
    reason = f"{job.target} is there already; use --overwrite or --skip-existing"
    return Outcome(job.name, "failed", reason=reason)


def _colorize_group(
    colorizer: Colorizer, group: _Group, extension: FormatName | None, existing: Existing
) -> list[Outcome]:
    outcomes = {
        place: entry for place, entry in enumerate(group.entries) if isinstance(entry, Outcome)
    }
    ready: list[tuple[int, Job, PhotoFile]] = []
    for place, job in enumerate(group.entries):
        if isinstance(job, Job):
            try:
                ready.append((place, job, photo_files.read(job.source)))
            except Exception as error:  # noqa: BLE001 - the others go on
                outcomes[place] = _failed(job, _reason(error, "read"))
    tints = _tints(colorizer, [photo_file.photo for _, _, photo_file in ready])
    for (place, job, photo_file), tint in zip(ready, tints, strict=True):
        if isinstance(tint, str):
            outcomes[place] = _failed(job, tint)
            continue
        try:
            _write(photo_file, tint, job.target, extension, existing)
            outcomes[place] = Outcome(job.name, "colorized", job.target)
        except Exception as error:  # noqa: BLE001 - the others go on
            outcomes[place] = _failed(job, _reason(error, "written"))
    return [outcomes[place] for place in range(len(group.entries))]


def _tints(colorizer: Colorizer, photos: Sequence[GrayPhoto]) -> list[Tint | str]:
    """Predict photos together, or else one by one; for those that fail return the reason."""
    try:
        return list(colorizer.tints(photos))
    except Exception as error:  # noqa: BLE001 - the others go on
        if len(photos) == 1:
            return [_reason(error, "colorized")]
    # Not where the error is still there: it holds on to what the batch had of memory.
    return [tint for photo in photos for tint in _tints(colorizer, [photo])]


def _reason(error: Exception, undone: Literal["read", "colorized", "written"]) -> str:
    """Say why a photo was not read, colorized or written, with the kind of an unexpected error."""
    if isinstance(error, StoppedError):
        raise error
    if isinstance(error, ImageError):
        return str(error)
    if is_out_of_memory(error):
        return "memory ran out" + ("; lower --size" if undone == "colorized" else "")
    what = str(error).partition("\n")[0]
    if isinstance(error, OSError):
        return f"could not be {undone} ({error.strerror or what})"
    return f"could not be {undone} ({type(error).__name__}: {what})"


def _failed(job: Job, reason: str) -> Outcome:
    return Outcome(job.name, "failed", reason=reason)


def _write(
    photo_file: PhotoFile,
    tint: Tint,
    target: Path,
    extension: FormatName | None,
    existing: Existing,
) -> None:
    data = photo_files.encode(photo_file, tint, extension)
    if existing == "overwrite":
        with new_file(target) as temporary:
            temporary.write_bytes(data)
    else:
        _publish(data, target)


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
        Path(f"/proc/self/fd/{handle}").lstat()
    except (AttributeError, OSError):
        _publish_renamed(data, target)
        return
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # With a folder's handle Python calls linkat(2), and only that follows the link.
            name = f"/proc/self/fd/{handle}"
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
