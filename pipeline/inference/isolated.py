"""Files colorized by workers that may crash: a decoder's fault ends one file, not the run."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.engines.base import KILLED, Engine, R, Work, never
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.names import without_number
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import Outcome, Settings, colorize_files
from pipeline.params import DeviceName

Jobs = Sequence[Job | Failure]


@dataclass(frozen=True)
class Loaded:
    """The network that a worker has loaded."""

    recipe: str
    weights: Path | None


class IsolatedColorizer:
    """Colorizes files in processes of their own; a context manager.

    Args:
        load: makes the colorizer there: a function of a module, or a partial of one.
        engine: where these processes are.
        device: what ``load`` is told to compute on.

    Raises:
        ColorpipeError: as ``load`` raises it; or the process was killed while it loaded.
    """

    def __init__(
        self,
        load: Callable[[], Colorizer],
        engine: Engine = LOCAL,
        device: DeviceName = "auto",
    ) -> None:
        with ExitStack() as stack:
            self._workers = stack.enter_context(engine.holding(load, device))
            (self.loaded,) = self._workers.map_in_order(_describe, [""], failed=_not_described)
            self._stack = stack.pop_all()

    def __enter__(self) -> IsolatedColorizer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def colorize_files(
        self, jobs: Jobs, settings: Settings, stopped: Callable[[], bool] = never
    ) -> Iterator[Outcome]:
        """Do as :func:`pipeline.inference.streaming.colorize_files` does.

        A photo that kills its process, and again when nothing else is under way, has failed.
        """
        folders = {job.target.parent for job in jobs if isinstance(job, Job)}
        before = {folder: _names(folder) for folder in folders}

        def again(job: Job | Failure) -> Job | Failure:
            if isinstance(job, Failure):
                return job
            names = before[job.target.parent]
            # What has its name now was written by the process that was killed.
            return replace(job, again=not any(name.startswith(job.target.stem) for name in names))

        yield from self._workers.map_in_order(
            functools.partial(_colorized, settings=settings, workers=self._workers.cores),
            _with_rivals(jobs),
            failed=_given_up,
            again=again,
            stopped=stopped,
        )

    def run(self, work: Work[Colorizer, R], stopped: Callable[[], bool] = never) -> Iterator[R]:
        """Yield what ``work`` yields in a process of this machine; stop if it is killed.

        Args:
            work: a function of a module, or a partial of one: given the colorizer and a function
                that says whether to stop, it yields what can be pickled.
            stopped: whether it is to stop.
        """
        return self._workers.run(work, stopped)


def _describe(colorizer: Colorizer, inputs: Iterable[str]) -> Iterator[Loaded]:
    for _ in inputs:
        yield Loaded(colorizer.predictor.recipe, colorizer.weights)


def _not_described(_: str) -> Loaded:
    raise ColorpipeError(
        "The process that loads the network was killed; most likely memory ran out: close other"
        " programs and run this again."
    )


def _colorized(
    colorizer: Colorizer,
    jobs: Iterable[Job | Failure],
    settings: Settings,
    workers: int | None,
) -> Iterator[Outcome]:
    return colorize_files(colorizer, jobs, settings, workers=workers, planned=set())


def _given_up(job: Job | Failure) -> Outcome:
    name = job.what if isinstance(job, Failure) else job.name
    return Outcome(name, "failed", reason=KILLED)


def _with_rivals(jobs: Jobs) -> Jobs:
    """Tell each job the targets of others whose results may get the names of its own.

    A photo that gets another extension, or a file for each page, keeps its stem but for a number.
    """
    by_stem: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for job in jobs:
        if isinstance(job, Job):
            for stem in {job.target.stem, without_number(job.target.stem)} - {""}:
                by_stem[job.target.parent, stem].append(job.target)

    def told(job: Job | Failure) -> Job | Failure:
        if isinstance(job, Failure):
            return job
        like = by_stem[job.target.parent, job.target.stem]
        return job if len(like) == 1 else replace(job, rivals=frozenset(like) - {job.target})

    return [told(job) for job in jobs]


def _names(folder: Path) -> set[str]:
    """Return the names in ``folder``; none where it cannot be listed or is still to be made."""
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()
