"""A process of its own that holds something, so that a crash ends one input and not the run.

C libraries crash on untrusted bytes, and the system kills a process that takes too much memory. The
parent, which decodes nothing, then starts another process. Of the inputs that were under way it
tries each alone: the one that kills its process again is given up, and the others go on. What C
libraries write to the terminal stays in the process as well.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from pipeline.engines.base import R, S, Stream, T, Work, never
from pipeline.engines.pool import become_worker, no_threads_of_opencv
from pipeline.errors import ColorpipeError

_PATIENCE = 0.1
"""Seconds between two looks at whether the work is to be stopped."""

_READY, _DONE = "ready", "done"


@dataclass(frozen=True)
class _Taken:
    """An input is taken up."""

    number: int


@dataclass(frozen=True)
class _Yielded:
    """The work has yielded something."""

    value: Any


class _Child:
    """The process, and what it says."""

    def __init__(self, load: Callable[[], object]) -> None:
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
                    stopped = never
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


def _may_fork() -> bool:
    """Whether a fork is safe here: on Linux, while nothing else runs in this process.

    A forked process starts in milliseconds, one that is spawned in a second. But it would wait for
    PyTorch's threads, and keep open what a server's threads have opened: connections that are
    closed here would stay half alive.
    """
    torch = sys.modules.get("torch")
    is_alone = threading.active_count() == 1 and (torch is None or torch.get_num_threads() == 1)
    return sys.platform == "linux" and is_alone


class HoldingProcess(Generic[S]):
    """A process that holds what ``load`` makes; :class:`pipeline.engines.base.Workers` of one.

    Args:
        load: makes it there: a function of a module, or a partial of one.

    Raises:
        ColorpipeError: as ``load`` raises it; or the process was killed while it loaded.
    """

    def __init__(self, load: Callable[[], S]) -> None:
        self.cores: int | None = None
        self._load = load
        self._child: _Child | None = None
        self._start()

    def __enter__(self) -> HoldingProcess[S]:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self) -> _Child:
        self._child = child = _Child(self._load)
        try:
            loaded = child.receive(never)
        except BaseException:
            self._end()
            raise
        if loaded != _READY:
            self._end()
            raise ColorpipeError(
                "The process that loads the network was killed; most likely memory ran out: close"
                " other programs and run this again."
            )
        return child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def map_in_order(
        self,
        function: Stream[S, T, R],
        inputs: Sequence[T],
        *,
        failed: Callable[[T], R],
        again: Callable[[T], T] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.map_in_order`."""
        done = 0
        while done < len(inputs) and not stopped():
            first = taken = done
            part = functools.partial(_part, function, inputs[first:])
            for message in self._exchange(part, stopped):
                if isinstance(message, _Yielded):
                    done += 1
                    yield message.value
                else:
                    taken = first + message.number + 1
            if self._child is not None:
                return
            # Its process was killed: what was under way goes through one by one.
            for number in range(done, max(taken, done + 1)):
                item = inputs[number] if again is None else again(inputs[number])
                alone = functools.partial(_part, function, [item])
                results = [
                    message.value
                    for message in self._exchange(alone, never)
                    if isinstance(message, _Yielded)
                ]
                yield results[0] if results else failed(inputs[number])
                done += 1

    def run(self, work: Work[S, R], stopped: Callable[[], bool] = never) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.run`."""
        for message in self._exchange(functools.partial(_whole, work), stopped):
            yield message.value

    def _exchange(self, request: object, stopped: Callable[[], bool]) -> Iterator[Any]:
        """Yield what the process says to a request; end when it is killed or has done it."""
        child = self._child or self._start()
        child.send(request)
        while (message := child.receive(stopped)) is not None:
            if message == _DONE:
                return
            yield message
        self._end()


def _part(
    function: Stream[S, T, R],
    inputs: Sequence[T],
    pipe: Connection,
    held: S,
    stopped: Callable[[], bool],
) -> Iterator[R]:
    """Go through inputs, in the process; each is named by its number when it is taken up."""

    def taken() -> Iterator[T]:
        for number, item in enumerate(inputs):
            if stopped():
                return
            pipe.send(_Taken(number))
            yield item

    return function(held, taken())


def _whole(work: Work[S, R], pipe: Connection, held: S, stopped: Callable[[], bool]) -> Iterator[R]:
    """Do a single piece of work, in the process."""
    del pipe
    return work(held, stopped)


def _serve(pipe: Connection, load: Callable[[], object]) -> None:
    """Do what the parent asks for, in a process of its own."""
    become_worker()
    try:
        held = load()
        pipe.send(_READY)
        while True:
            # A stop that came when all was done already is of no use any more.
            while (request := pipe.recv()) == "stop":
                continue
            _answer(pipe, request, held)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - it is the parent's to handle
        pipe.send(error)


def _answer(pipe: Connection, request: Callable[..., Iterator[object]], held: object) -> None:
    is_stopped = False

    def stopped() -> bool:
        nonlocal is_stopped
        is_stopped = is_stopped or (pipe.poll() and pipe.recv() == "stop")
        return is_stopped

    for value in request(pipe, held, stopped):
        pipe.send(_Yielded(value))
    pipe.send(_DONE)
