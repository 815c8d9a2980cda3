"""What the page does, without the page: previews at once, and whole files as the command line.

Whatever somebody uploads is decoded in a process of its own, which may crash; previews are made
from what that process has written. Work that takes long has another process, so that nobody's photo
waits for somebody's film; whoever gives the work up ends the process.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.base import KILLED
from pipeline.errors import ColorpipeError, Failure
from pipeline.evaluation.metrics import ciede2000
from pipeline.imaging import color
from pipeline.imaging.decode import Gray, open_photo, read_bytes
from pipeline.imaging.formats.photo_file import open_file
from pipeline.imaging.kinds import SUFFIXES
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.inference.isolated import IsolatedColorizer
from pipeline.inference.jobs import READ, Job, with_rivals
from pipeline.inference.outcomes import Outcome
from pipeline.inference.references import Reference
from pipeline.inference.streaming import Settings
from pipeline.video.color_video import film_outcomes
from pipeline.video.kinds import READ as FILMS_READ
from pipeline.video.kinds import WRITTEN_AS
from pipeline.video.settings import FilmSettings, Progress

PREVIEW = 1024
"""Longer side of a preview in pixels, at most."""
MOST_FILES = 500
MOST_BYTES = 2_000_000_000
"""Of many files together."""
_LAST_WORDS = 2.0
"""Seconds that long work has to stop by itself when the server ends."""


@dataclass(frozen=True)
class Look:
    """How photos are to be colored."""

    model: str
    """One of :attr:`Workshop.models`."""
    strength: float = 1.0
    size: int | None = None


@dataclass
class Desk:
    """A photo that somebody works on."""

    folder: Path
    """Of its own: it goes with the session."""
    source: Path
    name: str
    result: Path
    """The colored file, at full size with all that it carries."""
    note: str
    """What its owner should know of the result; it follows each :meth:`Workshop.finish`."""
    shape: tuple[int, int]
    """Height and width of the photo, upright."""
    gray: Gray
    """(h, w), the preview's tones."""
    rgb: NDArray[np.uint8]
    """(h, w, 3), the preview as it is colored now."""
    previews: int = 0
    """How many were begun; the last one counts, whichever is done first."""
    pages: int = 1
    """Of the photo's file; the first is on the page."""
    hints: tuple[Hint, ...] = ()
    before: list[tuple[Hint, ...]] = field(default_factory=list)
    """What undoing leads back to, the last one last."""
    place: tuple[float, float] | None = None
    """Where a color is to be chosen for, in pixels of the photo."""
    offered: list[tuple[str, str]] = field(default_factory=list)
    """The colors for it: a word and ``#rrggbb`` each."""

    def change(self, hints: Sequence[Hint]) -> None:
        """Take up other hints; :meth:`undo` leads back."""
        self.before.append(self.hints)
        self.hints = tuple(hints)

    def undo(self) -> None:
        """Go back by one change of the hints."""
        if self.before:
            self.hints = self.before.pop()

    def in_photo(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of the photo that a pixel of the preview shows."""
        height, width = self.gray.shape
        return (
            round((x + 0.5) * self.shape[1] / width - 0.5, 1),
            round((y + 0.5) * self.shape[0] / height - 0.5, 1),
        )

    def in_preview(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of the preview that shows a place of the photo."""
        height, width = self.gray.shape
        column = int((x + 0.5) * width / self.shape[1])
        row = int((y + 0.5) * height / self.shape[0])
        return min(column, width - 1), min(row, height - 1)

    def error_of(self, hint: Hint) -> float:
        """Return the CIEDE2000 from what a hint asks for, at the lightness that its place has."""
        column, row = self.in_preview(hint.x, hint.y)
        found = color.rgb_to_lab(np.ascontiguousarray(self.rgb[row, column][None, None]))
        return float(ciede2000(found, np.dstack([found[..., :1], hint.ab()[None, None]]))[0, 0])

    def preview_hints(self) -> list[Hint]:
        """Return the hints at their places in the preview."""
        scale = self.gray.shape[1] / self.shape[1]
        return [
            Hint(*self.in_preview(hint.x, hint.y), hint.color, hint.radius * scale)
            for hint in self.hints
        ]


def how_near(own: Desk) -> str:
    """Say where the tone does not allow the color of the last hint, or nothing."""
    if not own.hints or own.error_of(own.hints[-1]) <= _NEAR:
        return ""
    hint = own.hints[-1]
    column, row = own.in_preview(hint.x, hint.y)
    nearest = f"#{bytes(own.rgb[row, column]).hex()}"
    return f"A place of this tone cannot be {hint.color}: {nearest} is the nearest possible."


_NEAR = 3.0
"""CIEDE2000 below which a color counts as the one that is asked for."""


class Workshop:
    """The networks, and the process that reads and writes files; a context manager.

    Any number of people may use it at once. Single photos are colored one after the other, and
    beside them one lot of many files or one film at a time.

    Args:
        models: what there is to choose from by name; the first one is the default.

    Raises:
        ColorpipeError: the first model cannot be loaded.
    """

    def __init__(self, models: dict[str, Path]) -> None:
        self.models = models
        self.folder = Path(tempfile.mkdtemp(prefix="colorpipe-"))
        self._lock = threading.Lock()
        """Held while a photo is colored, and by nobody who makes a preview."""
        self._long = threading.Lock()
        """Held while many files or a film are colored."""
        self._apart: IsolatedColorizer | None = None
        """The process that does that."""
        self._closed = False
        self._networks_lock = threading.Lock()
        self._networks: dict[str, Colorizer] = {}
        self._process: tuple[Look, IsolatedColorizer] | None = None
        try:
            # Before PyTorch has threads here: the process can then be forked.
            self._isolated(Look(next(iter(models))))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and delete every file."""
        self._closed = True
        # Whoever goes on with long work stops; who has left it half done will not let go of it.
        if not self._long.acquire(timeout=_LAST_WORDS) and self._apart is not None:
            self._apart.__exit__()
        with self._lock:
            self._end_process()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, source: Path, look: Look, reference: Path | None = None) -> Desk:
        """Take up a photo: color it, and make a preview of it.

        Raises:
            ColorpipeError: it cannot be colored; the sentence says why.
        """
        with self._folder() as folder:
            outcome = self._colored(source, folder, look, (), reference)
            result = outcome.outputs[0]
            data = read_bytes(result)
            rgb, pages = open_photo(data).pixels, open_file(data).count
        # Who has seen the result may want to change it soon.
        threading.Thread(target=self._network, args=(look,), daemon=True).start()
        small = _preview(rgb)
        return Desk(
            folder=folder,
            source=source,
            name=source.name,
            result=result,
            note=_note(outcome, pages),
            shape=rgb.shape[:2],
            gray=color.luma(small),
            rgb=small,
            pages=pages,
        )

    def preview(self, desk: Desk, look: Look, reference: Reference | None) -> None:
        """Color a desk's preview by its hints, unless another preview is begun meanwhile."""
        desk.previews += 1
        number = desk.previews
        network = self._network(look)
        colored = network(desk.gray, hints=desk.preview_hints(), reference=reference)
        if number == desk.previews:
            desk.rgb = np.asarray(colored, np.uint8)

    def finish(self, desk: Desk, look: Look, reference: Path | None) -> Path:
        """Color the photo itself, as the command line does, and return the file.

        Raises:
            ColorpipeError: it cannot be colored; the sentence says why.
        """
        outcome = self._colored(desk.source, desk.folder, look, desk.hints, reference)
        desk.result = outcome.outputs[0]
        desk.note = _note(outcome, desk.pages)
        return desk.result

    def reference(self, source: Path, look: Look) -> Reference:
        """Take up a reference photo for previews.

        Raises:
            ColorpipeError: it cannot be read, or the network takes none.
        """
        # It was read in the other process before, by which it is known not to crash this one.
        return self._network(look).reference(open_photo(read_bytes(source)).pixels)

    def many(
        self, sources: Sequence[Path], look: Look
    ) -> Generator[tuple[int, Outcome] | Path, None, None]:
        """Color files, and pack the results; closing the iterator stops the work.

        Yields:
            What became of each, with its number from 1, and in the end the path of a zip file in a
            folder of its own, unless nothing was colored.

        Raises:
            ColorpipeError: there are too many.
        """
        if len(sources) > MOST_FILES or sum(path.stat().st_size for path in sources) > MOST_BYTES:
            raise ColorpipeError(
                f"At a time {MOST_FILES} files of {MOST_BYTES // 1_000_000_000} GB in all can be"
                " colored here; choose fewer, or use `colorpipe colorize` on their folder."
            )
        with self._folder() as folder:
            colored = folder / "colored"
            jobs: list[Job | Failure] = []
            taken: set[str] = set()
            for source in sources:
                name = _free_name(source.name, taken)
                if source.suffix.lower() in SUFFIXES:
                    jobs.append(Job(name, source, colored / name))
                else:
                    jobs.append(Failure(name, f"not named like a photo: {READ}"))
            with self._process_apart(look) as process:
                outcomes = process.colorize_files(
                    with_rivals(jobs), Settings("overwrite"), lambda: self._closed
                )
                yield from enumerate(outcomes, start=1)
            paths = sorted(path for path in colored.rglob("*") if path.is_file())
            if not paths:
                return
            target = folder / "colorized.zip"
            with zipfile.ZipFile(target, "w") as archive:  # photos are compressed already
                for path in paths:
                    archive.write(path, path.relative_to(colored))
            shutil.rmtree(colored)
            yield target

    def film(
        self, source: Path, look: Look, steady: float
    ) -> Generator[Progress | Outcome, None, None]:
        """Color a film; closing the iterator stops the work.

        Args:
            source: the film.
            look: how its frames are colored.
            steady: see :class:`pipeline.video.settings.FilmSettings`.

        Yields:
            How far it is, and in the end the outcome, whose output lies in a folder of its own.

        Raises:
            ColorpipeError: it cannot be colored; the sentence says why.
        """
        written_as = WRITTEN_AS.get(source.suffix.lower())
        if written_as is None:
            raise ColorpipeError(
                f"{source.name} is not named like a film; films end in {FILMS_READ}."
            )
        with self._folder() as folder:
            job = Job(source.name, source, folder / f"{source.stem}{written_as}")
            work = functools.partial(film_outcomes, job, FilmSettings(steady=steady), "overwrite")
            outcome = Outcome(source.name, "failed", reason=KILLED)
            with self._process_apart(look) as process:
                for message in process.run(work, lambda: self._closed):
                    if isinstance(message, Progress):
                        yield message
                    else:
                        outcome = message
            if outcome.status == "failed":
                raise ColorpipeError(f"{source.name} could not be colored: {outcome.reason}.")
            yield outcome

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        """Give a new folder, which stays unless something goes wrong or the work is given up."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @contextlib.contextmanager
    def _process_apart(self, look: Look) -> Iterator[IsolatedColorizer]:
        """Give a process to long work alone, and end it whatever comes."""
        with self._long, IsolatedColorizer(self._loading(look)) as process:
            self._apart = process
            try:
                yield process
            finally:
                self._apart = None

    def _colored(
        self,
        source: Path,
        folder: Path,
        look: Look,
        hints: Sequence[Hint],
        reference: Path | None,
    ) -> Outcome:
        if source.suffix.lower() not in SUFFIXES:
            raise ColorpipeError(f"{source.name} is not named like a photo; photos end in {READ}.")
        target = folder / "colored" / source.name
        job = Job(source.name, source, target, tuple(hints))
        with self._lock:
            settings = Settings("overwrite", reference=reference)
            (outcome,) = self._isolated(look).colorize_files([job], settings)
        if outcome.status == "failed":
            raise ColorpipeError(f"{source.name} could not be colored: {outcome.reason}.")
        return outcome

    def _network(self, look: Look) -> Colorizer:
        with self._networks_lock:
            loaded = self._networks.get(look.model)
            if loaded is None:
                loaded = Colorizer.load(self.models[look.model])
                self._networks[look.model] = loaded
        return Colorizer(loaded.predictor, strength=look.strength, size=look.size)

    def _isolated(self, look: Look) -> IsolatedColorizer:
        """Return the process that colors by ``look``; the caller holds the lock."""
        if self._process is not None and self._process[0] == look:
            return self._process[1]
        self._end_process()
        self._process = (look, IsolatedColorizer(self._loading(look)))
        return self._process[1]

    def _loading(self, look: Look) -> Callable[[], Colorizer]:
        return functools.partial(
            Colorizer.load, self.models[look.model], strength=look.strength, size=look.size
        )

    def _end_process(self) -> None:
        if self._process is not None:
            self._process[1].__exit__()
            self._process = None


def _note(outcome: Outcome, pages: int) -> str:
    shown = f"the first of {pages} pages is shown, and all are in the download" if pages > 1 else ""
    return "; ".join(filter(None, (outcome.reason, outcome.note, shown)))


def _preview(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(PREVIEW / max(rgb.shape[:2]), 1.0)
    if scale == 1.0:
        return rgb
    height, width = (max(round(side * scale), 1) for side in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no other file has: people have photos of one name in several folders."""
    path = PurePath(name)
    number = 1
    free = name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem}-{number}{path.suffix}"
    taken.add(free.casefold())
    return free
