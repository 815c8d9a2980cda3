"""Files colorized by workers that may crash: a decoder's fault ends one file, not the run."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.engines.base import KILLED, Engine, R, Work, never
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.files import Files, LocalFiles
from pipeline.inference.jobs import Job, stems_of
from pipeline.inference.outcomes import Item, Outcome
from pipeline.inference.streaming import Settings, colorize_files
from pipeline.locations.name_set import NameSet
from pipeline.params import DeviceName

_turn = threading.Lock()
"""Who has the network. A worker may be given further photos while it uploads the results of some:
they are read by then."""


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
        self,
        jobs: Iterable[Item],
        settings: Settings,
        stopped: Callable[[], bool] = never,
        files: Callable[[], AbstractContextManager[Files]] = LocalFiles,
        was_free: Callable[[Job], bool] | None = None,
    ) -> Iterator[Outcome]:
        """Do as :func:`pipeline.inference.streaming.colorize_files` does.

        A photo that kills its process, and again when nothing else is under way, has failed.

        Args:
            jobs: any number; a bounded part of them is under way.
            settings: how files are written.
            stopped: asked before each photo: once it says so, no further one is taken up.
            files: makes, in the process that colors, the :class:`pipeline.inference.files.Files`.
            was_free: whether nothing was at first where the results of a photo go, so that what is
                there now was written by a process that was killed. None looks at folders.
        """
        if was_free is None:
            before = _Before()
            jobs, was_free = before.looked_at(jobs), before.was_free

        def again(item: Item) -> Item:
            return replace(item, again=was_free(item)) if isinstance(item, Job) else item

        yield from self._workers.map_in_order(
            functools.partial(
                _colorized, settings=settings, workers=self._workers.cores, files=files
            ),
            jobs,
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
    items: Iterable[Item],
    settings: Settings,
    workers: int | None,
    files: Callable[[], AbstractContextManager[Files]],
) -> Iterator[Outcome]:
    with files() as own:
        ready = own.ahead(items)
        # The first is read, and others are being read, before it is this call's turn.
        ready = itertools.chain(list(itertools.islice(ready, 1)), ready)
        outcomes = colorize_files(colorizer, ready, settings, workers=workers, files=own)
        yield from own.delivered(_in_turn(outcomes))


def _in_turn(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    with _turn:
        yield from outcomes


def _given_up(item: Item) -> Outcome:
    name = item.what if isinstance(item, Failure) else item.name
    return Outcome(name, "failed", reason=KILLED)


class _Before:
    """What the folders of results held before any result was written there."""

    def __init__(self) -> None:
        self._folders: set[Path] = set()
        self._stems = NameSet()

    def looked_at(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, each when its folder has been looked at."""
        for item in items:
            if isinstance(item, Job) and (folder := item.target.parent) not in self._folders:
                self._folders.add(folder)
                for name in _names(folder):
                    for stem in stems_of(str(folder / name)):
                        self._stems.add(stem)
            yield item

    def was_free(self, job: Job) -> bool:
        """Whether nothing had a name that a result of ``job`` may get."""
        return stems_of(str(job.target))[0] not in self._stems


def _names(folder: Path) -> list[str]:
    """Return the names in ``folder``; none where it cannot be listed or is still to be made."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
