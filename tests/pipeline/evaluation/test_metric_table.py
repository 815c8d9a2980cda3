"""What every row of the table of metrics has to fulfil, and the rows that are made of several."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from pipeline.evaluation import metrics
from pipeline.evaluation.metric_table import (
    PHOTO_METRICS,
    RECOGNITION_METRICS,
    SCORES,
    SET_METRICS,
    Metric,
    PhotoMetric,
    Picture,
    find_metric,
    layout,
)
from pipeline.imaging.color import luma
from pipeline.params import MetricName, TrainParams

PHOTO: NDArray[np.uint8] = data.coffee()[:96, :96]


def faded(part: float) -> Picture:
    """The photo with a part of its color."""
    gray = luma(PHOTO)[..., None].astype(float)
    return Picture(np.clip(np.rint(gray + part * (PHOTO - gray)), 0, 255).astype(np.uint8))


def value(metric: PhotoMetric, part: float) -> float:
    scores = {name: SCORES[name](faded(part), Picture(PHOTO)) for name in metric.scores}
    return metric.value(scores)


@pytest.mark.parametrize("metric", PHOTO_METRICS, ids=lambda metric: metric.name)
def test_its_cost_falls_towards_the_ground_truth(metric: PhotoMetric) -> None:
    costs = [metric.cost(value(metric, part)) for part in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("metric", SET_METRICS, ids=lambda metric: metric.name)
def test_a_distance_grows_with_that_of_the_photos(metric: Metric) -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(20, 6))
    near, far = (first + shift * random.normal(size=(20, 6)) for shift in (0.1, 3.0))
    distances = [metric.distance(first, other) for other in (near, far)]  # type: ignore[attr-defined]
    assert metric.cost(distances[0]) < metric.cost(distances[1])


def test_names_are_unique() -> None:
    names = [metric.name for metric in (*PHOTO_METRICS, *RECOGNITION_METRICS, *SET_METRICS)]
    assert len(names) == len(set(names))


def test_the_best_weights_can_be_chosen_by_every_photo_metric() -> None:
    assert sorted(get_args(MetricName)) == sorted(metric.name for metric in PHOTO_METRICS)
    assert find_metric(TrainParams().metric).name == "balanced"


def test_too_much_color_costs_as_much_as_too_little() -> None:
    ratio = find_metric("colorfulness_ratio")
    assert ratio.cost(1.25) == ratio.cost(0.75) == 0.25
    assert ratio.cost(np.array([0.5, 1.0, 1.5])).tolist() == [0.5, 0.0, 0.5]


def balanced(ciede2000: float, ratio: float) -> float:
    metric = find_metric("balanced")
    scores = {"ciede2000": ciede2000, "colorfulness": ratio, "ground_truth_colorfulness": 1.0}
    return metric.cost(metric.value(scores))


def test_balanced_weighs_the_difference_by_colorfulness() -> None:
    assert balanced(8.0, 1.0) == 8.0
    assert balanced(8.0, 0.0) == 16.0
    assert balanced(8.0, 0.8) == pytest.approx(9.6)
    assert balanced(8.0, 1.2) == pytest.approx(9.6)


def test_balanced_prefers_vivid_colors_to_timid_ones() -> None:
    assert balanced(8.5, 0.5) > balanced(9.0, 0.9)


def test_a_ratio_to_gray_is_not_a_number() -> None:
    found = find_metric("colorfulness_ratio").value(
        {"colorfulness": 0.0, "ground_truth_colorfulness": 0.0}
    )
    assert np.isnan(found)


def test_headings_have_the_unit() -> None:
    headings = {metric.name: metric.heading for metric in PHOTO_METRICS}
    assert headings["psnr"] == "PSNR, dB"
    assert headings["ssim"] == "SSIM"


def test_a_row_of_the_layout_describes_a_photo() -> None:
    rows = layout([Picture(PHOTO), faded(0.5)])
    assert rows.shape == (2, 96)
    assert np.array_equal(rows[1], metrics.layout_features(faded(0.5).lab))
