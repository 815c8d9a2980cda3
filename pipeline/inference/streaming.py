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

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.files.cores import cores
from pipeline.files.names import numbered
from pipeline.imaging.decode import open_photo, read_bytes
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import photo_file
from pipeline.imaging.formats.label import UNLABELED, Label
from pipeline.imaging.formats.page import Colored, Page, PhotoFile
from pipeline.imaging.gray_photo import GrayPhoto, Tint
from pipeline.imaging.kinds import BY_NAME, BY_SUFFIX, FormatName
from pipeline.inference.colorizer import BATCH_SIZE, Colorizer
from pipeline.inference.files import Files, LocalFiles
from pipeline.inference.hints import Hint, read_hints, require_inside
from pipeline.inference.jobs import Job, Rival
from pipeline.inference.outcomes import Item, Outcome
from pipeline.inference.references import Reference
from pipeline.locations.storage import StorageError
from pipeline.models.device import is_out_of_memory

PIXELS_UNDER_WAY = 48_000_000
"""A further group is begun while those under way have fewer pixels together than this."""
PIXELS_IN_GROUP = 12_000_000
"""A group is closed when it has as many, though it be smaller than the network's batch."""
NETWORK_PIXELS = 2048**2
"""The network's pictures under way have at most as many pixels, unless one alone or batches of the
usual size, one a worker, have more."""

FAINT = 7.0
"""Colors of a lower mean chroma are little more than doubt. Of every third test photo of the model
card one in twelve has such colors, and in 50 of 100 of these they are closer to the ground truth
than gray is; of the others, in 75."""
_DOUBTFUL = "hardly any color, and little more than a guess; hints would give it some"

Existing = Literal["refuse", "skip", "overwrite"]


@dataclass(frozen=True)
class Settings:
    """How files are written."""

    existing: Existing = "refuse"
    """What to do about a file that is there: refuse it, skip it, or write over it."""
    format: FormatName | None = None
    """What to write; None is each photo's own format."""
    keep_names: bool = False
    """Whether names that lie about their content stay."""
    label: Label | None = None
    """What to add to XMP and EXIF."""
    reference: Path | None = None
    """A color photo that the photos get colors from."""


@dataclass(frozen=True)
class _Ready:
    """A photo that is opened, and where its pages go."""

    job: Job
    file: PhotoFile
    format: FormatName
    paths: tuple[Path, ...]
    note: str
    existing: Existing
    file_size: int
    """Bytes that the file itself takes in memory."""
    hints: tuple[Hint, ...] = ()


@dataclass
class _Group:
    """Photos that go through the network together, and those between them that need not."""

    entries: list[_Ready | Outcome] = field(default_factory=list)
    photos: int = 0
    pixels: int = 0


def colorize_files(
    colorizer: Colorizer,
    jobs: Iterable[Item],
    settings: Settings | None = None,
    *,
    workers: int | None = None,
    files: Files | None = None,
) -> Iterator[Outcome]:
    """Colorize files and yield what became of each, in the order of ``jobs``.

    Args:
        colorizer: the trained generator.
        jobs: what to read and where to write; a Failure comes out again as failed, and an Outcome
            as it is. A photo whose result would get the name of a rival's has failed.
        settings: how files are written.
        workers: processors to use, a thread each as far as memory goes; None is all.
        files: where photos and results are; None is this computer.

    Raises:
        ColorpipeError: the reference photo cannot be read, or the network takes none.
    """
    settings = settings or Settings()
    files = files or LocalFiles()
    reference = None if settings.reference is None else _reference(colorizer, settings.reference)
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
            opened = _opened(jobs, settings, files)
            for group in _groups(opened, colorizer.batch):
                while under_way and (
                    len(under_way) > threads or pixels + group.pixels > PIXELS_UNDER_WAY
                ):
                    yield from finish_first()
                pixels += group.pixels
                future = pool.submit(_colorize_group, colorizer, group, settings, reference, files)
                under_way.append((group, future))
            while under_way:
                yield from finish_first()
    finally:
        pool.shutdown(cancel_futures=True)


def _reference(colorizer: Colorizer, path: Path) -> Reference:
    try:
        photo = open_photo(read_bytes(path))
    except ImageError as error:
        raise ColorpipeError(
            f"The reference photo {path} cannot be used: {error}; name another one."
        ) from error
    return colorizer.reference(photo.pixels)


def _threads(colorizer: Colorizer, workers: int) -> int:
    """Return how many groups are handled at once: fewer than ``workers`` where they are large."""
    usual = workers * colorizer.predictor.batch * BATCH_SIZE**2
    most = max(NETWORK_PIXELS, usual) // (colorizer.batch * colorizer.size**2)
    return min(workers, max(most, 1))


def _opened(jobs: Iterable[Item], settings: Settings, files: Files) -> Iterator[_Ready | Outcome]:
    """Read each file and its head, once, or say what becomes of it without."""
    for job in jobs:
        if isinstance(job, Outcome):
            yield job
            continue
        if isinstance(job, Failure):
            yield Outcome(job.what, "failed", reason=job.reason)
            continue
        existing: Existing = "overwrite" if job.again else settings.existing
        if outcome := _is_there(job, (job.target,), existing, files):
            yield outcome
            continue
        try:
            yield _ready(job, settings, existing, files)
        except Exception as error:  # noqa: BLE001 - the others go on
            yield Outcome(job.name, "failed", reason=_reason(error, "read"))


def _ready(job: Job, settings: Settings, existing: Existing, files: Files) -> _Ready:
    source = files.photo(job.source)
    file = photo_file.open_file(source)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    target = photo_file.target_of(file, settings.format)
    notes = [target.note, file.note]
    if photo_file.lies(job.source, file):
        named = BY_SUFFIX[job.source.suffix.lower()].label
        notes.append(f"named like {named}, but its content is {file.kind.label}")
    if settings.label is not None:
        if target.format in UNLABELED:
            notes.append(f"without the label, which {BY_NAME[target.format].label} cannot hold")
        elif target.format == file.kind.name and not file.holds_metadata:
            notes.append("without the label, which a file like this one cannot hold")
    if photo_file.is_numbered(file, target.format):
        notes.append(f"a file for each of {file.count} pages")
    paths = _result_paths(file, job.target, target.format, settings)
    note = "; ".join(filter(None, notes))
    return _Ready(job, file, target.format, paths, note, existing, size, _hints(job, file))


def _result_paths(
    file: PhotoFile, path: Path, format: FormatName, settings: Settings
) -> tuple[Path, ...]:
    """Return where the result of a photo goes, or those of its pages: its content has a say."""
    if settings.format is None:
        path = photo_file.target_path(path, file, format, keep_name=settings.keep_names)
    if not photo_file.is_numbered(file, format):
        return (path,)
    return tuple(
        path.with_name(f"{numbered(path.stem, page)}{path.suffix}")
        for page in range(1, file.count + 1)
    )


def _kept_from_its_name(ready: _Ready, settings: Settings, files: Files) -> Outcome | None:
    """Return what becomes of a photo whose content gives its result a name that is not free."""
    job = ready.job
    if ready.paths == (job.target,):
        return None
    try:
        for rival in job.rivals:
            wanted = _wanted(rival, settings, files) if rival.target < str(job.target) else ()
            others = {Path(rival.target), *wanted}
            if taken := next((path for path in ready.paths if path in others), None):
                reason = f"would be written to {taken.name}, as another photo is"
                return Outcome(job.name, "failed", reason=reason)
        return _is_there(job, ready.paths, ready.existing, files)
    except Exception as error:  # noqa: BLE001 - the others go on
        return Outcome(job.name, "failed", reason=_reason(error, "read"))


def _wanted(rival: Rival, settings: Settings, files: Files) -> tuple[Path, ...]:
    """Return the names that the content of a rival, which comes first, gives to its results.

    Whoever asks finds the same, whatever else is under way and on whichever machine.
    """
    try:
        file = photo_file.open_file(files.photo(Path(rival.source)))
    except ImageError:
        return ()
    format = photo_file.target_of(file, settings.format).format
    return _result_paths(file, Path(rival.target), format, settings)


def _hints(job: Job, file: PhotoFile) -> tuple[Hint, ...]:
    try:
        hints = read_hints(job.hints) if isinstance(job.hints, Path) else job.hints
    except ColorpipeError as error:
        raise ImageError(f"its hints cannot be used ({error})") from error
    if hints and file.count > 1:
        raise ImageError(f"hints are for photos of one page, and this one has {file.count}")
    return hints


def _read_single(ready: _Ready) -> Page:
    page = ready.file.read_page(0)
    try:
        require_inside(ready.hints, page.photo.upright_shape)
    except ValueError as error:
        raise ImageError(str(error)) from error
    return page


def _is_there(
    job: Job, paths: tuple[Path, ...], existing: Existing, files: Files
) -> Outcome | None:
    """Return what becomes of a photo whose result is there already; None if it is to be made."""
    if existing == "overwrite" or not (there := files.taken(job, paths)):
        return None
    if existing == "skip":
        return Outcome(job.name, "skipped", paths) if len(there) == len(paths) else None
    reason = f"{files.named(there[0])} is there already; use --overwrite or --skip-existing"
    return Outcome(job.name, "failed", reason=reason)


def _groups(entries: Iterable[_Ready | Outcome], batch: int) -> Iterator[_Group]:
    group = _Group()
    for entry in entries:
        pixels = 0
        if isinstance(entry, _Ready):
            # A photo under way takes eight bytes a pixel and more. Of a document of many pages, one
            # of which is decoded at a time, the file itself may take more than that.
            pixels = max(entry.file.size[0] * entry.file.size[1], entry.file_size // 8)
        is_full = group.photos >= batch or len(group.entries) >= 100 * batch
        if group.entries and (is_full or group.pixels + pixels > PIXELS_IN_GROUP):
            yield group
            group = _Group()
        group.entries.append(entry)
        group.photos += isinstance(entry, _Ready)
        group.pixels += pixels
    if group.entries:
        yield group


def _colorize_group(
    colorizer: Colorizer,
    group: _Group,
    settings: Settings,
    reference: Reference | None,
    files: Files,
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    single: list[tuple[int, _Ready, Page]] = []
    for place, entry in enumerate(group.entries):
        if isinstance(entry, Outcome):
            outcomes[place] = entry
        elif outcome := _kept_from_its_name(entry, settings, files):
            outcomes[place] = outcome
        elif entry.file.count > 1:
            outcomes[place] = _colorize_pages(colorizer, entry, settings, reference, files)
        else:
            try:
                single.append((place, entry, _read_single(entry)))
            except Exception as error:  # noqa: BLE001 - the others go on
                outcomes[place] = Outcome(entry.job.name, "failed", reason=_reason(error, "read"))
    photos = [page.photo for _, _, page in single]
    tints = _tints(colorizer, photos, [entry.hints for _, entry, _ in single], reference)
    for (place, entry, page), tint in zip(single, tints, strict=True):
        if isinstance(tint, str):
            outcomes[place] = Outcome(entry.job.name, "failed", reason=tint)
            continue
        try:
            _write(entry, _encoded(entry, [(page, tint)], settings), entry.paths[0], files)
            is_guess = not entry.hints and reference is None
            is_faint = tint.mean_chroma < FAINT * colorizer.strength
            outcomes[place] = _done(entry, page.damage, _DOUBTFUL if is_guess and is_faint else "")
        except Exception as error:  # noqa: BLE001 - the others go on
            outcomes[place] = _not_written(entry, error, files)
    return [outcomes[place] for place in range(len(group.entries))]


def _colorize_pages(
    colorizer: Colorizer,
    ready: _Ready,
    settings: Settings,
    reference: Reference | None,
    files: Files,
) -> Outcome:
    """Colorize a document or an animation, of which one page at a time is in memory."""
    damages: list[str] = []

    def colored() -> Iterator[Colored]:
        for number, page in enumerate(ready.file.pages(), start=1):
            if page.damage:
                damages.append(f"page {number} is {page.damage}")
            (tint,) = _tints(colorizer, [page.photo], [()], reference)
            if isinstance(tint, str):
                raise ImageError(f"page {number}: {tint}")
            yield page, tint

    try:
        if len(ready.paths) == 1:
            _write(ready, _encoded(ready, colored(), settings), ready.paths[0], files)
        else:
            is_skipped = ready.existing == "skip"
            there = set(files.taken(ready.job, ready.paths) if is_skipped else ())
            # A page that fails fails the document: nothing is written before all are encoded.
            with tempfile.TemporaryFile() as spool:
                lengths = [
                    (path, spool.write(_encoded(ready, [one], settings)))
                    for one, path in zip(colored(), ready.paths, strict=True)
                    if path not in there
                ]
                spool.seek(0)
                for path, length in lengths:
                    _write(ready, spool.read(length), path, files)
    except Exception as error:  # noqa: BLE001 - the others go on
        return _not_written(ready, error, files)
    return _done(ready, "; ".join(damages))


def _not_written(ready: _Ready, error: Exception, files: Files) -> Outcome:
    # Another command that works on the same folders was faster.
    if isinstance(error, FileExistsError):
        outcome = _is_there(ready.job, ready.paths, ready.existing, files)
        if outcome is not None:
            return outcome
    return Outcome(ready.job.name, "failed", reason=_reason(error, "written"))


def _done(ready: _Ready, damage: str, note: str = "") -> Outcome:
    status: Literal["colorized", "damaged"] = "damaged" if damage else "colorized"
    notes = "; ".join(filter(None, (ready.note, note)))
    return Outcome(ready.job.name, status, ready.paths, damage, notes)


def _tints(
    colorizer: Colorizer,
    photos: Sequence[GrayPhoto],
    hints: Sequence[Sequence[Hint]],
    reference: Reference | None,
) -> list[Tint | str]:
    """Predict photos together, or else one by one; for those that fail return the reason."""
    try:
        return list(colorizer.tints(photos, hints, reference))
    except Exception as error:  # noqa: BLE001 - the others go on
        if len(photos) == 1:
            return [_reason(error, "colorized")]
    # After the except block: as long as the error exists, it keeps the batch's memory.
    return [
        tint
        for photo, own in zip(photos, hints, strict=True)
        for tint in _tints(colorizer, [photo], [own], reference)
    ]


def _reason(error: Exception, undone: Literal["read", "colorized", "written"]) -> str:
    """Say why a photo was not read, colorized or written, with the kind of an unexpected error."""
    if isinstance(error, StoppedError):
        raise error
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, StorageError):
        return f"could not be {undone} ({error})"
    if is_out_of_memory(error):
        return "memory ran out" + ("; lower --size" if undone == "colorized" else "")
    what = str(error).partition("\n")[0]
    if isinstance(error, OSError):
        return f"could not be {undone} ({error.strerror or what})"
    return f"could not be {undone} ({type(error).__name__}: {what})"


def _encoded(ready: _Ready, pages: Iterable[Colored], settings: Settings) -> bytes:
    """Return the file of these pages."""
    label = settings.label
    if label is not None:
        pages = (
            (replace(page, metadata=label.put_on(page.metadata)), tint) for page, tint in pages
        )
    file = ready.file if len(ready.paths) == 1 else replace(ready.file, count=1, is_animated=False)
    return photo_file.encode(file, pages, ready.format)


def _write(ready: _Ready, data: bytes, target: Path, files: Files) -> None:
    files.write(ready.job, target, data, replace=ready.existing == "overwrite")
