"""The same function over many inputs, on every core, in the order of the inputs.

Processes, not threads: what one photo needs is many short calls between which Python holds its
lock, and a decoder that crashes on a stranger's bytes then takes a worker down, not the run: what
was under way is done again, an input at a time, and the one that takes a worker down again is given
up. (On a single core, or for a few inputs, there are no workers.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from typing import TypeVar

import cv2

from pipeline.errors import ColorpipeError

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 128
"""Inputs handed over at a time at most: passing one alone costs as much as handling a small photo.
"""

CHUNK_SECONDS = 0.03
"""Work handed over at a time, about: of large photos few, so that all workers end together."""

FIRST_CHUNK = 1
"""Inputs handed over at a time until it is known how long one takes: there may be as many workers
as inputs."""

AHEAD = 4
"""Chunks handed out in advance for each worker: what bounds memory, however many the inputs."""

FEW = 16 if sys.platform == "linux" else 48
"""Up to this many inputs are handled in this process: starting workers would take longer, which
where they cannot be forked is a matter of seconds."""

KILLED = (
    "the process that handled it was killed, and again when nothing else was under way; either it"
    " crashes a decoder, or it takes more memory than there is"
)
"""Why an input was given up, as a phrase that fits behind a colon."""

HELD = 1 << 26
"""Bytes of freed memory that a worker keeps for the next photo."""

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def cores() -> int:
    """Return the number of cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    function: Callable[[T], R],
    inputs: Iterable[T],
    workers: int | None = None,
    failed: Callable[[T], R] | None = None,
) -> Iterator[R]:
    """Yield ``function(input)`` for every input, in order, computed by ``workers`` processes.

    ``inputs`` is read only a bounded number ahead, so neither it nor the results pile up in memory.
    ``function`` and what it takes and returns must be picklable: a module's function, or a
    ``functools.partial`` of one. It may be called twice for an input, when a worker is killed.

    Args:
        function: an exception of it is raised here, in its turn, and ends the work.
        inputs: may be an endless stream.
        workers: None is one for each core.
        failed: called here, makes the result for an input that :data:`KILLED` speaks of.

    Raises:
        ColorpipeError: there is such an input, and no ``failed``.
    """
    workers = cores() if workers is None else workers
    stream = iter(inputs)
    first = list(itertools.islice(stream, FEW + 1))
    if workers == 1 or len(first) <= FEW:
        yield from map(function, itertools.chain(first, stream))
        return
    inputs = itertools.chain(first, stream)
    # A worker a core is all the parallelism there is to have; and threads of OpenCV that are there
    # when a process forks are waited for in vain by the new one.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    # What is there before the fork is no garbage: to look through it again and again takes time
    # here, and in a worker it would also copy the memory.
    gc.freeze()
    pool = _pool(workers)
    pending: _Pending[T, R] = deque()
    length = FIRST_CHUNK
    try:
        while (chunk := list(itertools.islice(inputs, length))) or pending:
            if chunk:
                pending.append((chunk, _submit(pool, function, chunk)))
                if len(pending) < workers * AHEAD:
                    continue
            try:
                results, each = pending[0][1].result()
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
                yield from _redo(function, pending, failed)
                pool = _pool(workers)
                pending.clear()
                continue
            pending.popleft()
            length = min(max(1, round(CHUNK_SECONDS / each)), CHUNK)
            yield from results
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        gc.unfreeze()
        cv2.setNumThreads(threads)


_Pending = deque[tuple[list[T], "Future[tuple[list[R], float]]"]]
"""Chunks that were handed out, and what will come of them."""


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, _context(), initializer=_start_worker)


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[T], R], chunk: list[T]
) -> Future[tuple[list[R], float]]:
    """Hand a chunk over; to a pool that is broken too, whose result then says so in its turn."""
    try:
        return pool.submit(_apply, function, chunk)
    except BrokenProcessPool as error:
        future = Future[tuple[list[R], float]]()
        future.set_exception(error)
        return future


def _redo(
    function: Callable[[T], R], pending: _Pending[T, R], failed: Callable[[T], R] | None
) -> Iterator[R]:
    """Yield the results of what was under way when a worker was killed.

    What was not done is done by a single worker, an input at a time: so it is known which input
    kills it, and one that only wanted memory has that of all.
    """
    pool = _pool(1)
    try:
        for chunk, future in pending:
            if not isinstance(future.exception(), BrokenProcessPool):
                yield from future.result()[0]
                continue
            for item in chunk:
                try:
                    result = pool.submit(function, item).result()
                except BrokenProcessPool as error:
                    if failed is None:
                        raise ColorpipeError(
                            "A worker process was killed, and another on the same input; either it"
                            " crashes a decoder, or memory ran out: close other programs and run"
                            " this again."
                        ) from error
                    pool.shutdown(wait=True)
                    pool = _pool(1)
                    result = failed(item)
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _apply(function: Callable[[T], R], chunk: list[T]) -> tuple[list[R], float]:
    """Return the results, and the seconds that each took on average."""
    started = time.perf_counter()
    results = [function(item) for item in chunk]
    return results, max(time.perf_counter() - started, 1e-9) / len(chunk)


def _context() -> BaseContext:
    """Fork on Linux, where it takes milliseconds; elsewhere it is unsafe or not there."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _start_worker() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _hold_memory()


def _hold_memory() -> None:
    """Let this worker keep the blocks that it frees, up to :data:`HELD` bytes.

    Every photo needs arrays of the same few sizes. glibc returns blocks of that size to the system
    and fetches them again, and each fresh page costs a fault: a fifth of the time of a small photo.
    Other C libraries have no ``mallopt``, or ignore it.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, HELD)
        mallopt(_M_MMAP_THRESHOLD, HELD // 2)


def _end_with_parent() -> None:
    """End this worker when its parent dies without a word (kill, out of memory)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
