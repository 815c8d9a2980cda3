"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from datetime import timedelta
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

PLAIN_INTERVAL = 10.0
"""Seconds between two plain lines when standard error is not a terminal."""


class ProgressReport:
    """Counts ``total`` steps of ``description`` on standard error; a context manager.

    ``unit`` is what one step is called in the rate ("photos"); ``detail`` of :meth:`advance` is
    shown behind the bar (losses, for example). ``done`` steps were done before, in another run.
    """

    def __init__(
        self, description: str, total: int | None, unit: str = "photos", done: int = 0
    ) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self._done = self._before = done
        self._detail = ""
        self._started = time.monotonic()
        self._last_line = self._started
        self._bar: Progress | None = None

    def __enter__(self) -> ProgressReport:
        self._started = self._last_line = time.monotonic()
        if sys.stderr.isatty():
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.description, total=self.total, rate="", detail="", completed=self._done
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            self._line()

    def advance(self, steps: int = 1, detail: str | None = None) -> None:
        """Count ``steps`` more as done."""
        self._done += steps
        if detail is not None:
            self._detail = detail
        if self._bar is not None:
            self._bar.update(self._task, advance=steps, rate=self._rate(), detail=self._detail)
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL:
            self._line()

    def _rate(self) -> str:
        seconds = time.monotonic() - self._started
        return f"{(self._done - self._before) / seconds:.1f} {self.unit}/s" if seconds > 0 else ""

    def _left(self) -> str:
        """The time that the rest will take, if there is a rest."""
        done = self._done - self._before
        if self.total is None or self.total <= self._done or not done:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self.total - self._done)
        return f", {timedelta(seconds=round(seconds))} left"

    def _line(self) -> None:
        self._last_line = time.monotonic()
        total = f" of {self.total}" if self.total is not None else ""
        detail = f", {self._detail}" if self._detail else ""
        print(
            f"{self.description}: {self._done}{total} {self.unit}, {self._rate()}"
            f"{self._left()}{detail}",
            file=sys.stderr,
            flush=True,
        )


def track(
    items: Iterable[T], description: str, total: int | None = None, unit: str = "photos"
) -> Iterator[T]:
    """Yield ``items`` and report each as done when the next is asked for."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with ProgressReport(description, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
