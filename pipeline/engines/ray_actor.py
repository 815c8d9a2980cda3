"""A worker, as it runs in a process of a Ray cluster: what it sees, holds and hands over."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2

from pipeline.engines.base import KEPT_MEMORY, R, Stream, T
from pipeline.errors import ColorpipeError
from pipeline.files.memory import keep_freed_memory

CPUS = 1
"""Cores of a worker."""


@dataclass(frozen=True)
class Raised:
    """An exception, as a worker hands it over."""

    error: Exception


@dataclass(frozen=True)
class View:
    """The files that the driver sees, as far as it is asked whether a worker sees them, too."""

    folder: str
    """Where the driver is."""
    shared: dict[str, str]
    """Paths that must be there, and what they stand for."""

    def take(self) -> None:
        """Go to the driver's folder, so that relative paths mean there what they mean here.

        Raises:
            ColorpipeError: something is not there.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            # Nobody misses it where no path is relative.
            if not all(map(os.path.isabs, self.shared)):
                raise _not_seen(self.folder) from error
        for path, name in self.shared.items():
            if not os.path.lexists(path):
                raise _not_seen(name)


def _not_seen(path: str) -> ColorpipeError:
    return ColorpipeError(
        f"The cluster's machine {platform.node()} does not see {path} as this one does; all its"
        " machines must see the same files under the same paths, those of a data stage between"
        " URLs in a folder that TMPDIR names."
    )


class Actor:
    """A worker, in a process of the cluster."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._held: Any = None
        self._ended = 0.0

    def start(self, view: View) -> str | Raised:
        """Make what is held; return the machine's name in the cluster."""
        import ray

        try:
            view.take()
            cv2.setNumThreads(CPUS)
            keep_freed_memory(KEPT_MEMORY)
            self._held = self._load()
        except Exception as error:  # noqa: BLE001 - it is the driver's to handle
            return Raised(error)
        return str(ray.get_runtime_context().get_node_id())

    def apply(
        self, view: View, function: Stream[Any, T, R], batch: Sequence[T]
    ) -> tuple[list[R], float] | Raised:
        """Return the results, and the seconds that each took on average."""
        started = time.perf_counter()
        try:
            view.take()
            results = list(function(self._held, batch))
        except Exception as error:  # noqa: BLE001 - it is the driver's to handle
            return Raised(error)
        # While the batch before was worked on, this one waited.
        started, self._ended = max(started, self._ended), time.perf_counter()
        return results, max(self._ended - started, 1e-9) / len(batch)
