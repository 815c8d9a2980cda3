"""This machine: a process a core, or one that holds a network and has them all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.engines.base import Engine, R, S, T
from pipeline.engines.pool import map_in_order
from pipeline.engines.process import HoldingProcess


class LocalEngine:
    """Child processes; see :class:`pipeline.engines.base.Engine`."""

    is_remote = False

    def map_in_order(
        self,
        function: Callable[[T], R],
        inputs: Iterable[T],
        failed: Callable[[T], R] | None = None,
    ) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Engine.map_in_order`."""
        return map_in_order(function, inputs, failed=failed)

    def holding(self, load: Callable[[], S], device: str = "cpu") -> HoldingProcess[S]:
        """See :meth:`pipeline.engines.base.Engine.holding`; ``load`` itself chooses the device."""
        del device
        return HoldingProcess(load)

    def sharing(
        self, sources: Sequence[Path], out: Path | None
    ) -> contextlib.AbstractContextManager[None]:
        """See :meth:`pipeline.engines.base.Engine.sharing`; there is nobody to share with."""
        del sources, out
        return contextlib.nullcontext()


LOCAL: Engine = LocalEngine()
"""The engine of whoever names none."""
