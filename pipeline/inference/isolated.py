"""Colorizing in a process of its own, so that a decoder's crash ends one file and not the run.

C libraries crash on untrusted bytes, and the system kills a process that takes too much memory. The
parent, which decodes nothing, then starts another process. Of the photos that were under way it
tries each alone: the one that kills its process again is given up, and the others go on. What C
libraries write to the terminal stays in the process as well.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.errors import ColorpipeError, Failure
from pipeline.files.parallel import KILLED, become_worker, no_threads_of_opencv
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import Outcome, Settings, colorize_files

_PATIENCE = 0.1
"""Seconds between two looks at whether the work is to be stopped."""

Jobs = Sequence[Job | Failure]
R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[R_co]):
    """What a process of its own can be given to do."""

    def __call__(self, colorizer: Colorizer, stopped: Callable[[], bool], /) -> Iterator[R_co]:
        """Do it with the network; ``stopped`` says whether to stop."""


@dataclass(frozen=True)
class Loaded:
    """The network that a process has loaded."""

    recipe: str
    weights: Path | None


class _Child:
    """A process that colorizes, and what it says."""

    def __init__(self, load: Callable[[], Colorizer]) -> None:
        context: Any = multiprocessing.get_context("fork" if _may_fork() else "spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, load))
        with no_threads_of_opencv():
            self._process.start()
        theirs.close()

    def send(self, message: object) -> None:
        self._pipe.send(message)

    def receive(self, stopped: Callable[[], bool]) -> Any:
        """Return the next message, or None if the process was killed; pass a stop on."""
        try:
            while not self._pipe.poll(_PATIENCE):
                if stopped():
                    self._pipe.send("stop")
                    stopped = _never
            message = self._pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, BaseException):
            raise message
        return message

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _never() -> bool:
    return False


def _names(folder: Path) -> set[str]:
    """Return the names in ``folder``; none where it cannot be listed or is still to be made."""
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _may_fork() -> bool:
    """Whether a fork is safe here: on Linux, unless PyTorch has threads that would be waited for.

    A forked process starts in milliseconds, one that is spawned in a second.
    """
    torch = sys.modules.get("torch")
    return sys.platform == "linux" and (torch is None or torch.get_num_threads() == 1)


class IsolatedColorizer:
    """Colorizes files in a process of its own; a context manager.

    Args:
        load: makes the colorizer there: a function of a module, or a partial of one.

    Raises:
        ColorpipeError: as ``load`` raises it; or the process was killed while it loaded.
    """

    def __init__(self, load: Callable[[], Colorizer]) -> None:
        self._load = load
        self._child: _Child | None = None
        self.loaded = self._start()

    def __enter__(self) -> IsolatedColorizer:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self) -> Loaded:
        self._child = _Child(self._load)
        try:
            loaded = self._child.receive(_never)
        except BaseException:
            self._end()
            raise
        if not isinstance(loaded, Loaded):
            self._end()
            raise ColorpipeError(
                "The process that loads the network was killed; most likely memory ran out: close"
                " other programs and run this again."
            )
        return loaded

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def colorize_files(
        self, jobs: Jobs, settings: Settings, stopped: Callable[[], bool] = _never
    ) -> Iterator[Outcome]:
        """Do as :func:`pipeline.inference.streaming.colorize_files` does.

        A photo that kills the process, and again when nothing else is under way, has failed.
        """
        folders = {job.target.parent for job in jobs if isinstance(job, Job)}
        before = {folder: _names(folder) for folder in folders}
        done = 0
        while done < len(jobs) and not stopped():
            taken = done
            for message in self._run(jobs, settings, range(done, len(jobs)), stopped):
                if isinstance(message, Outcome):
                    done += 1
                    yield message
                else:
                    taken = message + 1
            if self._child is not None:
                return
            # Its process was killed: what was under way goes through one by one.
            for number in range(done, max(taken, done + 1)):
                yield self._alone(jobs, settings, number, before)
                done += 1

    def run(self, work: Work[R_co], stopped: Callable[[], bool] = _never) -> Iterator[R_co]:
        """Yield what ``work`` yields in the process, to be taken to its end; stop if it is killed.

        Args:
            work: a function of a module, or a partial of one: given the colorizer and a function
                that says whether to stop, it yields what can be pickled.
            stopped: whether it is to stop.
        """
        return self._exchange(work, stopped)

    def _alone(
        self, jobs: Jobs, settings: Settings, number: int, before: Mapping[Path, set[str]]
    ) -> Outcome:
        job = jobs[number]
        if isinstance(job, Job):
            stem, others = job.target.stem, before[job.target.parent]
            # What has its name now was written by the process that was killed.
            if not any(name.startswith(stem) for name in others):
                settings = replace(settings, existing="overwrite")
        messages = list(self._run(jobs, settings, range(number, number + 1), _never))
        for message in messages:
            if isinstance(message, Outcome):
                return message
        name = job.what if isinstance(job, Failure) else job.name
        return Outcome(name, "failed", reason=KILLED)

    def _run(
        self, jobs: Jobs, settings: Settings, numbers: range, stopped: Callable[[], bool]
    ) -> Iterator[Outcome | int]:
        """Yield outcomes, and the number of each job that is taken up; end when killed or done."""
        return self._exchange((jobs, settings, numbers), stopped)

    def _exchange(self, request: object, stopped: Callable[[], bool]) -> Iterator[Any]:
        """Yield what the process says to a request; end when it is killed or has done it."""
        if self._child is None:
            self._start()
        child = self._child
        if child is None:
            return
        child.send(request)
        while (message := child.receive(stopped)) is not None:
            if message == "done":
                return
            yield message
        self._end()


def _serve(pipe: Connection, load: Callable[[], Colorizer]) -> None:
    """Do what the parent asks for, in a process of its own."""
    become_worker()
    try:
        colorizer = load()
        pipe.send(Loaded(colorizer.predictor.recipe, colorizer.weights))
        while True:
            # A stop that came when all was done already is of no use any more.
            while (request := pipe.recv()) == "stop":
                continue
            if callable(request):
                _serve_work(pipe, request, colorizer)
                continue
            jobs, settings, numbers = request
            taken = iter(numbers)
            is_stopped = False

            def stopped(taken: Iterator[int] = taken) -> bool:
                nonlocal is_stopped
                is_stopped = is_stopped or (pipe.poll() and pipe.recv() == "stop")
                if not is_stopped:
                    pipe.send(next(taken))
                return is_stopped

            part = jobs[numbers.start : numbers.stop]
            planned = {job.target for job in jobs if isinstance(job, Job)}
            for outcome in colorize_files(
                colorizer, part, settings, stopped=stopped, planned=planned
            ):
                pipe.send(outcome)
            pipe.send("done")
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - it is the parent's to handle
        pipe.send(error)


def _serve_work(pipe: Connection, work: Work[object], colorizer: Colorizer) -> None:
    is_stopped = False

    def stopped() -> bool:
        nonlocal is_stopped
        is_stopped = is_stopped or (pipe.poll() and pipe.recv() == "stop")
        return is_stopped

    for message in work(colorizer, stopped):
        pipe.send(message)
    pipe.send("done")
