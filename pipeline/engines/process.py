"""A process of its own that holds something, so that a crash ends one input and not the run.

C libraries crash on untrusted bytes, and the system kills a process that takes too much memory. The
parent, which decodes nothing, then starts another process. Of the inputs that were under way it
tries each alone: the one that kills its process again is given up, and the others go on. What C
libraries write to the terminal stays in the process as well.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from pipeline.engines.base import R, S, Stream, T, Work, never
from pipeline.engines.pool import become_worker, ready_to_fork
from pipeline.errors import ColorpipeError

_PATIENCE = 0.1
"""Seconds between two looks at whether the work is to be stopped."""

HANDED = 64
"""Inputs handed over at a time: the process asks for more when it has taken up all of them."""

_READY, _MORE, _TAKEN, _DONE = "ready", "more", "taken", "done"
"""What the process says: it can begin, wants inputs, takes up the next one, and has done it all."""


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
        with ready_to_fork():
            self._process.start()
        theirs.close()
        self._has_said_stop = False

    def request(self, message: object) -> None:
        """Ask for another piece of work."""
        self._has_said_stop = False
        self.send(message)

    def send(self, message: object) -> None:
        self._pipe.send(message)

    def receive(self, stopped: Callable[[], bool]) -> Any:
        """Return the next message, or None if the process was killed; pass a stop on."""
        try:
            while True:
                # Asked before each message, for they may come without a pause. Said once: a
                # process that has stopped reads no more of it.
                if not self._has_said_stop and stopped():
                    self._has_said_stop = True
                    self._pipe.send("stop")
                if self._pipe.poll(_PATIENCE):
                    break
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
        inputs: Iterable[T],
        *,
        failed: Callable[[T], R],
        again: Callable[[T], T] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.map_in_order`."""
        waiting = iter(inputs)
        # Handed over and without a result yet, and how many of these are taken up.
        handed: deque[T] = deque()
        taken = 0

        def more() -> list[T]:
            chunk = list(itertools.islice(waiting, HANDED))
            handed.extend(chunk)
            return chunk

        while not stopped():
            for message in self._exchange(functools.partial(_part, function), stopped, more):
                if message == _TAKEN:
                    taken += 1
                else:
                    handed.popleft()
                    taken -= 1
                    yield message.value
            if self._child is not None:
                return
            # Its process was killed: what was under way goes through one by one, at least one.
            if not handed and not more():
                return
            for _ in range(max(taken, 1)):
                item = handed.popleft()
                yield self._alone(function, item if again is None else again(item), failed, item)
            waiting = itertools.chain(handed, waiting)
            handed, taken = deque(), 0

    def _alone(self, function: Stream[S, T, R], changed: T, failed: Callable[[T], R], item: T) -> R:
        """Return the result of an input with which nothing else is under way."""
        inputs = iter([[changed]])
        messages = self._exchange(
            functools.partial(_part, function), never, lambda: next(inputs, [])
        )
        results = [message.value for message in messages if message != _TAKEN]
        return results[0] if results else failed(item)

    def run(self, work: Work[S, R], stopped: Callable[[], bool] = never) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.run`."""
        for message in self._exchange(functools.partial(_whole, work), stopped):
            yield message.value

    def _exchange(
        self,
        request: object,
        stopped: Callable[[], bool],
        more: Callable[[], Sequence[object]] = list,
    ) -> Iterator[Any]:
        """Yield what the process says to a request; end when it is killed or has done it."""
        child = self._child or self._start()
        try:
            child.request(request)
        except (BrokenPipeError, ConnectionResetError):
            # It was killed while it had nothing to do.
            self._end()
            child = self._start()
            child.request(request)
        try:
            while (message := child.receive(stopped)) is not None:
                if message == _DONE:
                    return
                if message == _MORE:
                    inputs = more()
                    # If it was killed meanwhile, that is what is received next.
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        child.send(inputs)
                else:
                    yield message
        except BaseException:
            # After an error it ends, and otherwise it would go on with what nobody takes any more.
            self._end()
            raise
        self._end()


class _Parent:
    """The parent, as the process hears it while it answers a request."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._has_said_stop = False

    def stopped(self) -> bool:
        """Whether to stop."""
        if not self._has_said_stop and self._pipe.poll():
            self._has_said_stop = self._pipe.recv() == "stop"
        return self._has_said_stop

    def inputs(self) -> Iterator[Any]:
        """Ask for inputs, some at a time, and say when each is taken up."""
        while not self.stopped():
            self._pipe.send(_MORE)
            while (chunk := self._pipe.recv()) == "stop":
                self._has_said_stop = True
            if not chunk:
                return
            for item in chunk:
                if self.stopped():
                    return
                self._pipe.send(_TAKEN)
                yield item


def _part(function: Stream[S, T, R], parent: _Parent, held: S) -> Iterator[R]:
    """Go through inputs, in the process."""
    return function(held, parent.inputs())


def _whole(work: Work[S, R], parent: _Parent, held: S) -> Iterator[R]:
    """Do a single piece of work, in the process."""
    return work(held, parent.stopped)


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
            for value in request(_Parent(pipe), held):
                pipe.send(_Yielded(value))
            pipe.send(_DONE)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - it is the parent's to handle
        pipe.send(error)
