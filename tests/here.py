"""An engine without processes: what a test sets, counts or keeps in memory, the work sees."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from pipeline.engines.base import Engine, never


class _Workers:
    cores = None

    def __init__(self, held: Any) -> None:
        self._held = held

    def map_in_order(
        self,
        function: Callable[..., Iterator[Any]],
        inputs: Iterable[Any],
        *,
        failed: Callable[[Any], Any],
        again: Callable[[Any], Any] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[Any]:
        return function(self._held, takewhile(lambda _: not stopped(), inputs))

    def run(
        self, work: Callable[..., Iterator[Any]], stopped: Callable[[], bool] = never
    ) -> Iterator[Any]:
        return work(self._held, stopped)


class _Here:
    is_remote = False

    def map_in_order(
        self, function: Callable[[Any], Any], inputs: Iterable[Any], failed: Any = None
    ) -> Iterator[Any]:
        return map(function, inputs)

    def holding(self, load: Callable[[], Any], device: str = "cpu") -> Any:
        return contextlib.nullcontext(_Workers(load()))

    def sharing(self, sources: list[Path], out: Path | None) -> Any:
        return contextlib.nullcontext()


HERE: Engine = _Here()
