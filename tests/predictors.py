"""A predictor with known colors, in place of a network."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Float


class Rainbow:
    """Red to green from left to right, yellow to blue from top to bottom, whatever the picture."""

    size = 64
    multiple = 32
    recipe = "rainbow"
    batch = 4

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.threads = 0
        self._lock = threading.Lock()

    def in_threads(self, number: int) -> AbstractContextManager[None]:
        self.threads = number
        return nullcontext()

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        with self._lock:
            self.shapes.append(grays.shape)
        count, height, width = grays.shape
        a, b = np.meshgrid(np.linspace(60, -60, width), np.linspace(60, -60, height))
        one = np.dstack([a, b]).astype(np.float32)
        return np.repeat(one[None], count, axis=0)
