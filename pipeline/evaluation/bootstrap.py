"""How certain a mean over photos is: bootstrap intervals, with the same draws for all columns.

Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13 (percentile intervals).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Means = Mapping[str, NDArray[np.float64]]
"""For each column its mean in every draw, of shape (draws,)."""

Statistic = Callable[[Means], NDArray[np.float64]]
"""What is estimated, made of means: a mean itself, a ratio or a difference of two."""

_DRAWS_AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval, of which one photo has none: its ends are NaN."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws photos with replacement, many times, and keeps the means of each draw.

    All columns share the draws. So the interval of a difference between two columns is a paired
    one: what makes a photo hard for both cancels out.

    Args:
        columns: for each name a number a photo, all of the same length (at least 1).
        resamples: how many times to draw.
        seed: seeds the draws; they also depend on the number of photos, and on nothing else.

    Raises:
        ValueError: there is no photo, or columns differ in length.
    """

    def __init__(
        self, columns: Mapping[str, Sequence[float]], resamples: int = 2000, seed: int = 0
    ) -> None:
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError("A bootstrap needs columns of one length, with at least one photo.")
        values = np.array(list(columns.values()), np.float64)
        count = values.shape[1]
        random = np.random.default_rng(seed)
        drawn = np.empty((len(columns), resamples))
        for start in range(0, resamples, _DRAWS_AT_ONCE):
            stop = min(start + _DRAWS_AT_ONCE, resamples)
            times = random.multinomial(count, np.full(count, 1 / count), size=stop - start)
            drawn[:, start:stop] = values @ times.T / count
        self._count = count
        self._observed = dict(zip(columns, values.mean(axis=1, keepdims=True), strict=True))
        self._drawn = dict(zip(columns, drawn, strict=True))

    def estimate(self, statistic: Statistic, confidence: float = 0.95) -> Estimate | None:
        """Return a statistic of the photos' means with its percentile interval.

        None when it is not a number, such as a ratio to a mean of zero. Draws in which it is not a
        number are left out of the interval.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(self._observed)[0])
            drawn = statistic(self._drawn)
        drawn = drawn[np.isfinite(drawn)]
        if not np.isfinite(value) or drawn.size == 0:
            return None
        if self._count == 1:
            return Estimate(value, math.nan, math.nan)
        tail = (1 - confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Estimate(value, float(low), float(high))


def mean(column: str) -> Statistic:
    """Return the statistic "mean of ``column``"."""
    return lambda means: means[column]


def ratio(column: str, reference: str) -> Statistic:
    """Return the statistic "mean of ``column`` over mean of ``reference``"."""
    return lambda means: means[column] / means[reference]


def difference(first: Statistic, second: Statistic) -> Statistic:
    """Return the statistic ``first`` minus ``second``."""
    return lambda means: first(means) - second(means)
