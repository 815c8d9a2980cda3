"""What an engine is: whatever does the same work on many inputs, here or on other machines.

A decoder may crash on untrusted bytes, a machine may be lost. So every engine does again what was
under way with a worker that was killed, each input alone, and gives up the one that kills another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)

KILLED = (
    "the process that handled it was killed, and again when nothing else was under way; either it"
    " crashes a decoder, or it takes more memory than there is"
)
"""Why an input was given up, as a phrase that fits behind a colon."""

KEPT_MEMORY = 1 << 26
"""Bytes of freed memory that a worker keeps for the next photo."""


def never() -> bool:
    """Say that work is not to be stopped."""
    return False


class Stream(Protocol[S_contra, T_contra, R_co]):
    """What workers that hold something do: a result for each input, in their order."""

    def __call__(self, held: S_contra, inputs: Iterable[T_contra], /) -> Iterator[R_co]:
        """Do it; inputs may be taken up ahead of the results."""


class Work(Protocol[S_contra, R_co]):
    """A single piece of work for a worker that holds something."""

    def __call__(self, held: S_contra, stopped: Callable[[], bool], /) -> Iterator[R_co]:
        """Do it; ``stopped`` says whether to stop."""


class Workers(Protocol[S_co]):
    """Workers that each hold something, such as a network, which was made once.

    Functions, what they take and what they return must be picklable.
    """

    cores: int | None
    """Processor cores that a worker may use; None is all of its machine."""

    def map_in_order(
        self,
        function: Stream[S_co, T, R],
        inputs: Iterable[T],
        *,
        failed: Callable[[T], R],
        again: Callable[[T], T] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[R]:
        """Yield the results of ``function`` over ``inputs``, in their order.

        Args:
            function: is given what a worker holds, and some or all of ``inputs``. Another thread
                of the worker may call it for the next ones while it waits for something: what only
                one may do at a time is its own care.
            inputs: any number, or endless; a bounded part of them is read and under way.
            failed: makes the result, in this process, for an input that :data:`KILLED` is about.
            again: makes what an input becomes, in this process, when it is done a second time.
            stopped: asked before each input: once it says so, no further one is taken up.
        """

    def run(self, work: Work[S_co, R], stopped: Callable[[], bool] = never) -> Iterator[R]:
        """Yield what ``work`` yields, in a process of this machine; end early if it is killed."""


class Engine(Protocol):
    """Where work is done."""

    is_remote: bool
    """Whether processes that this one has not started do the work, maybe of other machines. They
    must find the same files under the same paths; what is behind URLs is the same for all."""

    def map_in_order(
        self,
        function: Callable[[T], R],
        inputs: Iterable[T],
        failed: Callable[[T], R] | None = None,
    ) -> Iterator[R]:
        """Compute ``function(input)`` for every input, on every core.

        ``inputs`` is read only a bounded number ahead. ``function``, what it takes and what it
        returns must be picklable. It may be called twice for an input, if a worker is killed.

        Args:
            function: a function of a module, or a ``functools.partial`` of one. An exception that
                it raises is raised here, in its turn, and ends the work.
            inputs: may be endless.
            failed: makes the result, in this process, for an input that :data:`KILLED` is about.

        Returns:
            The results, in the order of the inputs.

        Raises:
            ColorpipeError: while the results are taken: there is such an input, and no ``failed``.
        """

    def holding(
        self, load: Callable[[], S], device: str = "cpu"
    ) -> AbstractContextManager[Workers[S]]:
        """Give workers that hold what ``load`` makes.

        Args:
            load: a function of a module, or a ``functools.partial`` of one. It is called in each
                worker; what it raises is raised here.
            device: what it computes on: ``cpu``, ``cuda``, ``mps``, or ``auto``, a GPU if there is
                one.

        Raises:
            ColorpipeError: a worker was killed while it loaded, or the device is not there.
        """

    def sharing(self, sources: Sequence[Path], out: Path | None) -> AbstractContextManager[None]:
        """Let workers begin, for the length of the block, only where they see the same files.

        Otherwise a machine that lacks a folder would make one of its own, and keep the results.
        What is behind URLs, workers read and write themselves; it need not be shared.

        Args:
            sources: what is read: files and folders.
            out: the folder that is written to, which need not be there yet; None is none.

        Raises:
            ColorpipeError: ``out`` cannot be written to; or, while results are taken, a machine
                does not see what this one sees.
        """
