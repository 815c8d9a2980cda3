"""The losses of a run, step by step, summed up by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from pipeline.errors import ColorpipeError
from pipeline.training.distributed import Processes

Curve = list[dict[str, float]]
"""A row an epoch."""


@dataclass
class LossTable:
    """Collects losses on the device that computes them, and reads many at once.

    Reading a number makes the CPU wait for the device, so that losses stay there until
    :meth:`read`.
    """

    rows: Curve = field(default_factory=list)
    """A row an epoch: the mean of each loss over the steps that had it."""
    last: dict[str, float] = field(default_factory=dict)
    """The losses that were read last."""
    _sums: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _waiting: list[tuple[str, list[str], torch.Tensor]] = field(default_factory=list)

    def add(self, where: str, total: str, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Take the terms of an objective, whose sum is called ``total``, and return the sum."""
        values = torch.stack([term.float() for term in terms.values()])
        result = values.sum()
        self._waiting.append(
            (where, [total, *terms], torch.cat([result.detach()[None], values.detach()]))
        )
        return result

    def read(self, processes: Processes, *requests: bool) -> list[bool]:
        """Read what was added, averaged over all processes, and agree on ``requests``.

        Returns:
            Of each request, whether any process has it.

        Raises:
            ColorpipeError: a loss is not a finite number.
        """
        asked = torch.tensor([float(request) for request in requests], device=processes.device)
        flat = torch.cat([*(values for _, _, values in self._waiting), asked])
        processes.average([flat])
        numbers: Iterator[float] = iter(flat.tolist())
        for where, names, _ in self._waiting:
            for name in names:
                self._count(where, name, next(numbers))
        self._waiting.clear()
        return [share > 0 for share in numbers]

    def _count(self, where: str, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise ColorpipeError(
                f"The loss '{name}' is {value} in {where}: training has diverged; lower"
                " train.learning_rate, or set train.precision to float32."
            )
        self.last[name] = value
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1

    def end_epoch(self, epoch: int) -> None:
        """Add the row of an epoch (from 1) from what was read since the last row."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self.rows.append({"epoch": float(epoch), **means})
        self._sums, self._counts, self.last = {}, {}, {}

    def state(self) -> dict[str, Any]:
        """Return all that was read, as plain values."""
        return {"rows": self.rows, "sums": self._sums, "counts": self._counts}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> LossTable:
        """Make a table from what :meth:`state` returned."""
        return cls(rows=state["rows"], _sums=state["sums"], _counts=state["counts"])
