"""Politeness toward hosts: few requests at once, pauses they ask for, and when to give up."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from collections import defaultdict
from collections.abc import AsyncIterator

from pipeline.download import rejections
from pipeline.download.rejections import FetchError

MAX_PAUSE = 30.0
"""Seconds; a host that asks for longer pauses, counted since it last served, is given up."""
MAX_TIMEOUTS = 3
"""Timeouts in a row after which a host is given up."""


class HostQueue:
    """Decides when a request may be made to a host; a host may be given up for the rest of a run.

    At most ``workers`` requests are under way, at most ``per_host`` of them at one host. A request
    waits for its host before it takes a worker, so a slow host delays only its own requests.
    """

    def __init__(self, workers: int, per_host: int) -> None:
        self._workers = asyncio.Semaphore(workers)
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_host))
        self._timeouts: dict[str, int] = defaultdict(int)
        self._paused_since: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}
        self._given_up: set[str] = set()

    @contextlib.asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait until a request may be made to ``host``, and make it within the block.

        Raises:
            FetchError: the host is given up.
        """
        async with self._hosts[host]:
            self._check(host)
            # While this request waits, another answer may ask for a longer pause.
            while (pause := self._paused_until.get(host, 0) - time.monotonic()) > 0:
                await asyncio.sleep(pause)
                self._check(host)
            async with self._workers:
                self._check(host)
                yield

    def timed_out(self, host: str) -> None:
        """Note that ``host`` did not answer in time."""
        self._timeouts[host] += 1

    def answered(self, host: str) -> None:
        """Note that ``host`` answered in time, whatever it said."""
        self._timeouts[host] = 0

    def served(self, host: str) -> None:
        """Note that ``host`` no longer asks for a pause."""
        self._paused_since.pop(host, None)

    def pause(self, host: str, seconds: float) -> None:
        """Make no request to ``host`` for ``seconds``, or none at all if it adds up to too much."""
        now = time.monotonic()
        until = max(self._paused_until.get(host, 0), now + seconds)
        self._paused_until[host] = until
        if until - self._paused_since.setdefault(host, now) > MAX_PAUSE:
            self._given_up.add(host)

    def _check(self, host: str) -> None:
        if self._timeouts[host] >= MAX_TIMEOUTS or host in self._given_up:
            raise FetchError(rejections.GIVEN_UP, host, lasting=False)


def retry_after(header: str) -> float | None:
    """Return the seconds that a Retry-After header (RFC 9110, section 10.2.3) asks for.

    A date in the past gives 0; no header, or one that is neither a number nor a date, gives None.
    """
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    # A year of eleven digits raises OverflowError.
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError):
        return None
