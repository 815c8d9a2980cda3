"""Running asynchronous work to its end, in a notebook too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` and return its result, even where an event loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: Future[tuple[asyncio.AbstractEventLoop, Callable[[], object]]] = Future()

    async def cancelable() -> T:
        task = asyncio.ensure_future(work)
        started.set_result((asyncio.get_running_loop(), task.cancel))
        return await task

    with ThreadPoolExecutor(1) as executor:
        result = executor.submit(asyncio.run, cancelable())
        try:
            return result.result()
        except BaseException:
            # An interruption reaches only this thread, which would then wait for the other.
            if not result.done():
                loop, cancel = started.result()
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(cancel)
            raise
