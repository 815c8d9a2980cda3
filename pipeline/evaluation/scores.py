"""The score of every test photo, and what the scores of many come to.

A *result* is something that is compared with the truth: what a model made of the photo, or the
gray photo as it is, the baseline of doing nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import metrics
from pipeline.evaluation.bootstrap import Bootstrap, Estimate, Statistic, difference, mean, ratio
from pipeline.evaluation.frechet import Features, frechet_distance, kernel_distance
from pipeline.imaging.color import rgb_to_lab
from pipeline.imaging.decode import RGB

if TYPE_CHECKING:
    from pipeline.evaluation.inception import Inception

GRAY = "gray"
"""The result of doing nothing."""
TRUTH = "truth"


@dataclass(frozen=True)
class PhotoScore:
    """How one result of one photo compares with the truth, in the units of ``metrics``."""

    photo: str
    category: str
    result: str
    psnr: float
    ssim: float
    ciede2000: float
    colorfulness: float
    colorfulness_absolute: float
    truth_colorfulness: float
    truth_colorfulness_absolute: float


@dataclass(frozen=True)
class Metric:
    """A figure over many photos: how it is made of the scores, read and rounded."""

    name: str
    """As a column or key."""
    title: str
    """As a person reads it."""
    digits: int
    """Decimals that are reported."""
    statistic: Callable[[str], Statistic]
    """For a result, the figure as a statistic of mean scores."""
    cost: Callable[[str], Statistic]
    """The same, so that less is better: what a comparison of two results goes by."""


def _mean_of(score: str) -> Callable[[str], Statistic]:
    return lambda result: mean(f"{result}/{score}")


def _minus_mean_of(score: str) -> Callable[[str], Statistic]:
    return lambda result: lambda means: -means[f"{result}/{score}"]


def _ratio_of(score: str) -> Callable[[str], Statistic]:
    return lambda result: ratio(f"{result}/{score}", f"{result}/truth_{score}")


def _ratio_off_one(score: str) -> Callable[[str], Statistic]:
    def cost(result: str) -> Statistic:
        part = _ratio_of(score)(result)
        return lambda means: np.abs(part(means) - 1)

    return cost


METRICS = (
    Metric("psnr", "PSNR, dB", 2, _mean_of("psnr"), _minus_mean_of("psnr")),
    Metric("ssim", "SSIM", 4, _mean_of("ssim"), _minus_mean_of("ssim")),
    Metric("ciede2000", "CIEDE2000", 2, _mean_of("ciede2000"), _mean_of("ciede2000")),
    Metric(
        "colorfulness_ratio",
        "Colorfulness ratio",
        3,
        _ratio_of("colorfulness"),
        _ratio_off_one("colorfulness"),
    ),
    Metric(
        "colorfulness_ratio_absolute",
        "  of absolute values",
        3,
        _ratio_of("colorfulness_absolute"),
        _ratio_off_one("colorfulness_absolute"),
    ),
)
"""PSNR, SSIM and CIEDE2000: means over photos. Colorfulness: the mean over photos of the result's,
over that of the truth's; 1 is as colorful as the truth. ``_absolute`` is the variant of
:func:`pipeline.evaluation.metrics.absolute_colorfulness`."""


@dataclass(frozen=True)
class SetDistance:
    """A distance between all photos of a result and of the truth: title and decimals."""

    title: str
    digits: int


DISTANCES = {
    "layout_distance": SetDistance("Lab layout distance", 1),
    "fid": SetDistance("FID", 2),
    "kid": SetDistance("KID", 5),
}
"""By the names that :meth:`Scores.distances` uses."""

_FIELDS = tuple(field.name for field in fields(PhotoScore) if field.type == "float")

_FeatureLists = dict[str, list[NDArray[np.floating[Any]]]]
"""For each result and the truth, the features of each photo."""


class Scores:
    """Collects the scores of photos, a photo at a time, and sums them up.

    It keeps no pixels: for every result of a photo some numbers, 96 features of its layout, and
    the network's 2048 where there is one.

    Args:
        results: names of the results that every photo is given with, the baseline among them.
        inception: the network for FID and KID, which are not to be had without.
    """

    def __init__(self, results: Sequence[str], inception: Inception | None = None) -> None:
        self.results = tuple(results)
        self.photos: list[PhotoScore] = []
        self._inception = inception
        self._layouts: _FeatureLists = defaultdict(list)
        self._deep: _FeatureLists = defaultdict(list)

    def add(self, photo: str, category: str, truth: RGB, results: Mapping[str, RGB]) -> None:
        """Score all results of a photo; ``results`` has every name the scores were made with."""
        truth_lab = rgb_to_lab(truth)
        colorful = metrics.colorfulness(truth)
        colorful_absolute = metrics.absolute_colorfulness(truth)
        self._layouts[TRUTH].append(metrics.layout_features(truth_lab))
        for name in self.results:
            pixels = results[name]
            lab = rgb_to_lab(pixels)
            self._layouts[name].append(metrics.layout_features(lab))
            self.photos.append(
                PhotoScore(
                    photo=photo,
                    category=category,
                    result=name,
                    psnr=metrics.psnr(pixels, truth),
                    ssim=metrics.ssim(pixels, truth),
                    ciede2000=metrics.mean_ciede2000(lab, truth_lab),
                    colorfulness=metrics.colorfulness(pixels),
                    colorfulness_absolute=metrics.absolute_colorfulness(pixels),
                    truth_colorfulness=colorful,
                    truth_colorfulness_absolute=colorful_absolute,
                )
            )
        if self._inception:
            names = (TRUTH, *self.results)
            rows = self._inception.features([truth, *(results[name] for name in self.results)])
            for name, row in zip(names, rows, strict=True):
                self._deep[name].append(row)

    @property
    def categories(self) -> list[str]:
        """The categories of the photos, sorted."""
        return sorted({score.category for score in self.photos})

    def summary(self, resamples: int, seed: int, category: str | None = None) -> Summary:
        """Sum up the photos of a category, or all photos."""
        chosen = (score for score in self.photos if category in (None, score.category))
        return Summary(chosen, resamples, seed)

    def distances(self, result: str) -> dict[str, float | None]:
        """Return how far a result is from the truth as a set, over all photos.

        ``layout_distance``, the Frechet distance of :func:`.metrics.layout_features`; with
        the network also ``fid`` and ``kid``. None for fewer than two photos. Frechet distances have
        a bias that falls with the number of photos: only figures of the same photos compare.
        """
        found = {"layout_distance": _apart(frechet_distance, self._layouts, result)}
        if self._inception:
            found["fid"] = _apart(frechet_distance, self._deep, result)
            found["kid"] = _apart(kernel_distance, self._deep, result)
        return found


def _apart(
    distance: Callable[[Features, Features], float], features: _FeatureLists, result: str
) -> float | None:
    first, second = features[result], features[TRUTH]
    return distance(np.stack(first), np.stack(second)) if len(first) > 1 else None


class Summary:
    """What the scores of some photos come to.

    Args:
        scores: of at least one photo, every photo with the same results.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
    """

    def __init__(self, scores: Iterable[PhotoScore], resamples: int, seed: int) -> None:
        columns: dict[str, list[float]] = defaultdict(list)
        for score in scores:
            for field in _FIELDS:
                columns[f"{score.result}/{field}"].append(getattr(score, field))
        self.count = len(next(iter(columns.values()), ()))
        self._bootstrap = Bootstrap(columns, resamples, seed)

    def estimate(self, metric: Metric, result: str) -> Estimate | None:
        """Return a metric of a result with its interval; None when it is not defined."""
        return self._bootstrap.estimate(metric.statistic(result))

    def difference(
        self, of: Callable[[str], Statistic], first: str, second: str
    ) -> Estimate | None:
        """Return a statistic of one result minus that of another, with its paired interval."""
        return self._bootstrap.estimate(difference(of(first), of(second)))
