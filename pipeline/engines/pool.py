"""The same function over many inputs, on every core, with the results in the order of the inputs.

In processes, not threads: what a photo needs is many short calls, between which Python holds its
lock. And a decoder that crashes on untrusted bytes then ends a worker, not the run: what was under
way is done again, one input at a time, and an input that ends its worker again is given up.
"""

from __future__ import annotations

import contextlib
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

import cv2

from pipeline.engines.base import KEPT_MEMORY, R, T
from pipeline.errors import ColorpipeError
from pipeline.files.cores import cores
from pipeline.files.memory import keep_freed_memory

CHUNK = 128
"""Inputs handed to a worker at a time, at most: handing over costs as much as a small photo."""

CHUNK_SECONDS = 0.05
"""Work handed over at a time, about. Of large photos that is one, so that no worker has several
left when the others are done."""

AHEAD = 4
"""Chunks handed out in advance for each worker, which bounds the memory that results take."""

_Chunk = tuple[list[T], "Future[tuple[list[R], float]]"]
"""Inputs that were handed out, and their results with the seconds that each took."""


def map_in_order(
    function: Callable[[T], R],
    inputs: Iterable[T],
    workers: int | None = None,
    failed: Callable[[T], R] | None = None,
) -> Iterator[R]:
    """See :meth:`pipeline.engines.base.Engine.map_in_order`; ``workers`` None is one a core."""
    stream = iter(inputs)
    first = list(itertools.islice(stream, cores() if workers is None else workers))
    if not first:
        return iter(())
    # Now, not when the first result is asked for: a progress bar may have a thread by then, and
    # forking is safe only without.
    pool = _start_pool(len(first))
    return _results(pool, len(first), function, itertools.chain(first, stream), failed)


def _results(
    pool: ProcessPoolExecutor,
    workers: int,
    function: Callable[[T], R],
    stream: Iterator[T],
    failed: Callable[[T], R] | None,
) -> Iterator[R]:
    pending: deque[_Chunk[T, R]] = deque()
    length = 1
    try:
        while (chunk := list(itertools.islice(stream, length))) or pending:
            if chunk:
                pending.append((chunk, _submit(pool, function, chunk)))
                if len(pending) < workers * AHEAD:
                    continue
            try:
                results, seconds = pending[0][1].result()
            except BrokenProcessPool:
                pool.shutdown(cancel_futures=True)
                yield from _redo(function, pending, failed)
                pending.clear()
                pool = _start_pool(workers)
                continue
            pending.popleft()
            length = min(max(1, round(CHUNK_SECONDS / seconds)), CHUNK)
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[T], R], chunk: list[T]
) -> Future[tuple[list[R], float]]:
    """Hand out a chunk; if the pool is broken, the result says so when its turn comes."""
    try:
        return pool.submit(_apply, function, chunk)
    except BrokenProcessPool as error:
        future = Future[tuple[list[R], float]]()
        future.set_exception(error)
        return future


def _redo(
    function: Callable[[T], R], pending: Iterable[_Chunk[T, R]], failed: Callable[[T], R] | None
) -> Iterator[R]:
    """Yield the results of what was under way when a worker was killed.

    What was not done is done by one worker, an input at a time. So it is known which input ends
    the worker, and one that only ran out of memory has all of it.
    """
    pool = _start_pool(1)
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
                            "A worker process was killed, and another one on the same input; either"
                            " the input crashes a decoder, or memory ran out: close other programs"
                            " and run this again."
                        ) from error
                    pool.shutdown()
                    pool = _start_pool(1)
                    result = failed(item)
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _apply(function: Callable[[T], R], chunk: list[T]) -> tuple[list[R], float]:
    """Return the results, and the seconds that each took on average."""
    started = time.perf_counter()
    results = [function(item) for item in chunk]
    return results, max(time.perf_counter() - started, 1e-9) / len(chunk)


def _start_pool(workers: int) -> ProcessPoolExecutor:
    """Start workers: forked on Linux, where that takes milliseconds; elsewhere it is unsafe."""
    if sys.platform != "linux":
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, initializer=become_worker)
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("fork"), initializer=become_worker
    )
    with ready_to_fork():
        # The first task forks all workers.
        pool.submit(os.getpid).result()
    return pool


@contextlib.contextmanager
def ready_to_fork() -> Iterator[None]:
    """Leave nothing, for the length of the block, that a fork would wait for forever.

    Threads are not there in a fork: OpenCV's end before it, and so do those of decoders that are
    garbage and would be freed in the fork.
    """
    gc.collect()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def become_worker() -> None:
    """Make this process one that works for its parent, ends with it and is silent."""
    # A worker a core is all the parallelism there is to have.
    cv2.setNumThreads(1)
    keep_freed_memory(KEPT_MEMORY)
    # Ctrl-C and the end of a terminal reach the whole process group; the parent alone decides what
    # they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Inherited is the parent's way of clearing up, which is not the worker's.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Decoders write there what they make of untrusted files, past Python.
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - it is no file
        os.dup2(nothing.fileno(), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
