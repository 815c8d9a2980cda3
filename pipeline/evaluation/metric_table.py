"""The table of metrics: everything that is measured of colorized photos is a row in it.

Evaluation computes all of them, its report prints and compares them, the validation after each
epoch of training computes those of single photos, and the best weights are chosen by one of these.
All read this table, so that a new row is enough for a new metric to appear everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import metrics
from pipeline.evaluation.bootstrap import Means, Statistic, mean, ratio
from pipeline.evaluation.frechet import Features, frechet_distance, kernel_distance
from pipeline.imaging.color import Float, rgb_to_lab
from pipeline.imaging.decode import RGB

Better = Literal["more", "less", "one"]
"""Which value of a metric is best: a large one, a small one, or exactly 1."""

Number = TypeVar("Number", float, NDArray[np.float64])


class Picture:
    """A photo (H, W, 3), sRGB, and what several metrics derive from it, computed once.

    Args:
        rgb: the photo.
        classes: the probability that a classifier gives each of its classes, where there is one.
    """

    def __init__(self, rgb: RGB, classes: NDArray[np.float32] | None = None) -> None:
        self.rgb = rgb
        self._classes = classes

    @property
    def classes(self) -> NDArray[np.float32]:
        """The probability of each class that the classifier knows.

        Raises:
            ValueError: no classifier has seen the photo.
        """
        if self._classes is None:
            raise ValueError("No classifier has seen this photo.")
        return self._classes

    @cached_property
    def lab(self) -> Float:
        """CIE Lab (H, W, 3)."""
        return rgb_to_lab(self.rgb)

    @cached_property
    def colorfulness(self) -> float:
        """As :func:`pipeline.evaluation.metrics.colorfulness`."""
        return metrics.colorfulness(self.rgb)

    @cached_property
    def absolute_colorfulness(self) -> float:
        """As :func:`pipeline.evaluation.metrics.absolute_colorfulness`."""
        return metrics.absolute_colorfulness(self.rgb)


Score = Callable[[Picture, Picture], float]
"""A number for one photo, from a result and the ground truth."""


@dataclass(frozen=True)
class Metric:
    """A figure for many photos: how it is called, read and rounded."""

    name: str
    """As a key or column."""
    title: str
    """As a person reads it."""
    unit: str
    """"" for a number without one."""
    digits: int
    """Decimals that are reported."""
    better: Better

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def cost(self, value: Number) -> Number:
        """Turn a value, or an array of them, into what is the less the better."""
        if self.better == "one":
            return abs(value - 1)
        return -value if self.better == "more" else value


@dataclass(frozen=True)
class PhotoMetric(Metric):
    """A figure made of mean scores: its interval follows from the scores of single photos."""

    scores: Mapping[str, Score]
    """What is computed of each photo, by name. Metrics that share a name share the score."""
    statistic: Statistic
    """The figure, from the means of these scores over photos."""

    def value(self, means: Mapping[str, float]) -> float:
        """Return the figure for means of scores; NaN or infinite where it is not defined."""
        arrays = {name: np.array([means[name]]) for name in self.scores}
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.statistic(arrays)[0])


@dataclass(frozen=True)
class SetMetric(Metric):
    """A distance between all photos of a result and of the ground truth, by their features."""

    features: str
    """Which features: ``layout``, the classifier's, or a network's that evaluation was given."""
    distance: Callable[[Features, Features], float]


def layout(pictures: Sequence[Picture]) -> Features:
    """Return a row a photo of :func:`pipeline.evaluation.metrics.layout_features`."""
    return np.stack([metrics.layout_features(picture.lab) for picture in pictures])


_CIEDE2000: Mapping[str, Score] = {
    "ciede2000": lambda result, truth: metrics.mean_ciede2000(result.lab, truth.lab)
}
_COLORFULNESS: Mapping[str, Score] = {
    "colorfulness": lambda result, _: result.colorfulness,
    "ground_truth_colorfulness": lambda _, truth: truth.colorfulness,
}
_COLORFULNESS_RATIO = ratio("colorfulness", "ground_truth_colorfulness")


def _balanced(means: Means) -> NDArray[np.float64]:
    """CIEDE2000 times ``1 + |1 - colorfulness ratio|``: right colors, and as strong.

    CIEDE2000 alone is least for timid colors: where a red and a green are equally likely, the gray
    between them is off by less than either. Here gray costs twice its difference, and so do colors
    that are twice too strong.
    """
    return np.asarray(means["ciede2000"] * (1 + np.abs(1 - _COLORFULNESS_RATIO(means))))


PHOTO_METRICS: tuple[PhotoMetric, ...] = (
    PhotoMetric(
        name="psnr",
        title="PSNR",
        unit="dB",
        digits=2,
        better="more",
        scores={"psnr": lambda result, truth: metrics.psnr(result.rgb, truth.rgb)},
        statistic=mean("psnr"),
    ),
    PhotoMetric(
        name="ssim",
        title="SSIM",
        unit="",
        digits=4,
        better="more",
        scores={"ssim": lambda result, truth: metrics.ssim(result.rgb, truth.rgb)},
        statistic=mean("ssim"),
    ),
    PhotoMetric(
        name="ciede2000",
        title="CIEDE2000",
        unit="",
        digits=2,
        better="less",
        scores=_CIEDE2000,
        statistic=mean("ciede2000"),
    ),
    # The mean over photos of the results' colorfulness over that of the ground truth.
    PhotoMetric(
        name="colorfulness_ratio",
        title="Colorfulness ratio",
        unit="",
        digits=3,
        better="one",
        scores=_COLORFULNESS,
        statistic=_COLORFULNESS_RATIO,
    ),
    PhotoMetric(
        name="colorfulness_ratio_absolute",
        title="Absolute colorfulness ratio",
        unit="",
        digits=3,
        better="one",
        scores={
            "colorfulness_absolute": lambda result, _: result.absolute_colorfulness,
            "ground_truth_colorfulness_absolute": lambda _, truth: truth.absolute_colorfulness,
        },
        statistic=ratio("colorfulness_absolute", "ground_truth_colorfulness_absolute"),
    ),
    PhotoMetric(
        name="balanced",
        title="Balanced CIEDE2000",
        unit="",
        digits=2,
        better="less",
        scores={**_CIEDE2000, **_COLORFULNESS},
        statistic=_balanced,
    ),
)

RECOGNITION_METRICS: tuple[PhotoMetric, ...] = (
    # The class is the one that the classifier sees in the ground truth: test photos of any origin
    # have no class of ImageNet's that is known.
    PhotoMetric(
        name="recognition",
        title="Recognition",
        unit="",
        digits=3,
        better="more",
        scores={
            "recognition": lambda result, truth: float(
                result.classes.argmax() == truth.classes.argmax()
            )
        },
        statistic=mean("recognition"),
    ),
    PhotoMetric(
        name="recognition_probability",
        title="Recognition probability",
        unit="",
        digits=3,
        better="more",
        scores={
            "recognition_probability": lambda result, truth: float(
                result.classes[truth.classes.argmax()]
            )
        },
        statistic=mean("recognition_probability"),
    ),
)
"""Metrics of single photos that need the classifier: evaluation has them where it is installed, and
training, which measures after each epoch, does without."""

SET_METRICS: tuple[SetMetric, ...] = (
    SetMetric("layout_distance", "Lab layout distance", "", 1, "less", "layout", frechet_distance),
    SetMetric(
        "classifier_distance", "Classifier distance", "", 2, "less", "classifier", frechet_distance
    ),
    SetMetric("fid", "FID", "", 2, "less", "inception", frechet_distance),
    SetMetric("kid", "KID", "", 5, "less", "inception", kernel_distance),
)


def scores_of(rows: Iterable[PhotoMetric]) -> dict[str, Score]:
    """Return every score that these metrics are made of, by name."""
    return {name: score for metric in rows for name, score in metric.scores.items()}


SCORES: Mapping[str, Score] = scores_of(PHOTO_METRICS)
"""Every score that needs nothing but pixels, by name."""


def find_metric(name: str) -> PhotoMetric:
    """Return the metric of single photos called ``name``.

    Raises:
        KeyError: there is none.
    """
    return {metric.name: metric for metric in PHOTO_METRICS}[name]
