"""The scores of every test photo, and what the scores of many come to.

A *result* is something that is compared with the ground truth: what a model made of the photo, or
the gray photo as it is, the baseline of doing nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import Bootstrap, Estimate, Means, Statistic, difference
from pipeline.evaluation.frechet import Features
from pipeline.evaluation.metric_table import (
    PHOTO_METRICS,
    RECOGNITION_METRICS,
    SET_METRICS,
    Metric,
    PhotoMetric,
    Picture,
    layout,
    scores_of,
)
from pipeline.imaging.decode import RGB

GRAY = "gray"
"""The result of doing nothing."""
GROUND_TRUTH = "ground truth"

FeatureNetwork = Callable[[Sequence[RGB]], Features]
"""Gives a row of features for each photo; the photos are of one size."""


class Classifier(Protocol):
    """Says what it sees in photos."""

    def features(self, photos: Sequence[RGB]) -> NDArray[np.float32]:
        """Return a row of features for each photo; the photos are of one size."""

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class, (N, classes), for rows of features."""


@dataclass(frozen=True)
class PhotoScores:
    """How one result of one photo compares with the ground truth."""

    photo: str
    category: str
    result: str
    scores: Mapping[str, float]
    """By the names that the metrics of :mod:`pipeline.evaluation.metric_table` give them."""


class Scores:
    """Collects the scores of photos, a photo at a time, and sums them up.

    It keeps no pixels: for every result of a photo its scores, 96 features of its layout, and the
    features of each network.

    Args:
        results: names of the results that every photo is given with, the baseline among them.
        networks: what gives the features that metrics ask for besides the layout, by name. A metric
            whose network is not here is left out.
        classifier: what recognition is measured with; None leaves out the metrics that need it.
    """

    def __init__(
        self,
        results: Sequence[str],
        networks: Mapping[str, FeatureNetwork] | None = None,
        classifier: Classifier | None = None,
    ) -> None:
        self.results = tuple(results)
        self.photos: list[PhotoScores] = []
        self.metrics = (*PHOTO_METRICS, *(RECOGNITION_METRICS if classifier else ()))
        """The metrics of single photos that are measured."""
        self.score_names = tuple(scores_of(self.metrics))
        """The scores that these are made of."""
        self._networks = dict(networks or {})
        self._classifier = classifier
        if classifier:
            self._networks["classifier"] = classifier.features
        self._features: dict[tuple[str, str], list[Features]] = defaultdict(list)

    def add(
        self, photo: str, category: str, truth: RGB, results: Mapping[str, RGB]
    ) -> list[PhotoScores]:
        """Score all results of a photo; ``results`` has every name the scores were made with.

        Returns:
            The scores of each result, in the order of the results.
        """
        everything = {GROUND_TRUTH: truth, **{name: results[name] for name in self.results}}
        rows = {key: network([*everything.values()]) for key, network in self._networks.items()}
        classes: Iterable[Any] = repeat(None)
        if self._classifier:
            classes = self._classifier.probabilities(rows["classifier"])
        pictures = {
            name: Picture(rgb, seen)
            for (name, rgb), seen in zip(everything.items(), classes, strict=False)
        }
        rows["layout"] = layout(list(pictures.values()))
        for key, features in rows.items():
            for name, row in zip(everything, features, strict=True):
                self._features[key, name].append(row)
        ground_truth = pictures.pop(GROUND_TRUTH)
        for name, picture in pictures.items():
            scores = {
                key: score(picture, ground_truth) for key, score in scores_of(self.metrics).items()
            }
            self.photos.append(PhotoScores(photo, category, name, scores))
        return self.photos[-len(pictures) :]

    @property
    def categories(self) -> list[str]:
        """The categories of the photos, sorted."""
        return sorted({scored.category for scored in self.photos})

    def summary(self, resamples: int, seed: int, category: str | None = None) -> Summary:
        """Sum up the photos of a category, or all photos."""
        chosen = (scored for scored in self.photos if category in (None, scored.category))
        return Summary(chosen, resamples, seed)

    def distances(self, result: str) -> dict[str, float | None]:
        """Return how far a result is from the ground truth as a set, over all photos, by metric.

        None for fewer than two photos. Frechet distances have a bias that falls with the number of
        photos: only figures of the same photos compare.
        """
        found: dict[str, float | None] = {}
        for metric in SET_METRICS:
            if metric.features in {"layout", *self._networks}:
                first, second = (
                    self._features[metric.features, name] for name in (result, GROUND_TRUTH)
                )
                enough = len(first) > 1
                found[metric.name] = (
                    metric.distance(np.stack(first), np.stack(second)) if enough else None
                )
        return found


class Summary:
    """What the scores of some photos come to.

    Args:
        photos: scores of at least one photo, every photo with the same results.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
    """

    def __init__(self, photos: Iterable[PhotoScores], resamples: int, seed: int) -> None:
        columns: dict[str, list[float]] = defaultdict(list)
        for scored in photos:
            for name, value in scored.scores.items():
                columns[_column(scored.result, name)].append(value)
        self.count = len(next(iter(columns.values()), ()))
        self._bootstrap = Bootstrap(columns, resamples, seed)

    def estimate(self, metric: PhotoMetric, result: str) -> Estimate | None:
        """Return a metric of a result with its interval; None when it is not defined."""
        return self._bootstrap.estimate(_of(metric, result))

    def difference(self, metric: PhotoMetric, first: str, second: str) -> Estimate | None:
        """Return a metric of one result minus that of another, with its paired interval."""
        return self._bootstrap.estimate(difference(_of(metric, first), _of(metric, second)))

    def cost_difference(self, metric: PhotoMetric, first: str, second: str) -> Estimate | None:
        """Return the same for :meth:`Metric.cost`: below zero, ``first`` is the better."""
        return self._bootstrap.estimate(
            difference(_cost(metric, _of(metric, first)), _cost(metric, _of(metric, second)))
        )


def _column(result: str, score: str) -> str:
    return f"{result}/{score}"


def _of(metric: PhotoMetric, result: str) -> Statistic:
    """A metric of one result, as a statistic of the columns of all."""

    def statistic(means: Means) -> NDArray[np.float64]:
        return metric.statistic({name: means[_column(result, name)] for name in metric.scores})

    return statistic


def _cost(metric: Metric, statistic: Statistic) -> Statistic:
    return lambda means: metric.cost(statistic(means))
