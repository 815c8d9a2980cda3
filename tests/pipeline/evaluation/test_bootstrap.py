"""Bootstrap intervals: right where theory says what they are, paired, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import Bootstrap, difference, mean, ratio


def test_the_interval_of_a_mean_is_nearly_the_normal_one():
    values = np.random.default_rng(1).normal(10, 3, 900)
    found = Bootstrap({"x": values}, resamples=4000).estimate(mean("x"))
    half = 1.96 * values.std() / np.sqrt(900)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_a_higher_confidence_is_a_wider_interval():
    draws = Bootstrap({"x": np.arange(50.0)})
    wide, narrow = draws.estimate(mean("x"), 0.99), draws.estimate(mean("x"), 0.5)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_the_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(2).normal(size=40)
    first, again, other = (Bootstrap({"x": values}, 500, seed) for seed in (7, 7, 8))
    assert first.estimate(mean("x")) == again.estimate(mean("x"))
    assert first.estimate(mean("x")) != other.estimate(mean("x"))


def test_a_small_steady_difference_shows_because_it_is_paired():
    photos = np.random.default_rng(3).normal(20, 5, 100)
    draws = Bootstrap({"a": photos, "b": photos + 0.5})
    a, b = draws.estimate(mean("a")), draws.estimate(mean("b"))
    assert a.low < b.low < a.high  # apart, their intervals say nothing
    change = draws.estimate(difference(mean("b"), mean("a")))
    assert (change.value, change.low, change.high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_ratio_is_of_the_means_and_not_the_mean_of_ratios():
    draws = Bootstrap({"made": [1.0, 9.0], "true": [2.0, 2.0]})
    assert draws.estimate(ratio("made", "true")).value == pytest.approx(2.5)
    draws = Bootstrap({"made": [1.0, 3.0], "true": [1.0, 9.0]})
    assert draws.estimate(ratio("made", "true")).value == pytest.approx(0.4)


def test_a_ratio_to_zero_is_not_defined():
    draws = Bootstrap({"made": [1.0, 2.0], "true": [0.0, 0.0]})
    assert draws.estimate(ratio("made", "true")) is None


def test_a_single_photo_has_no_interval():
    found = Bootstrap({"x": [4.0]}).estimate(mean("x"))
    assert found.value == 4
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("columns", [{}, {"x": []}, {"x": [1.0], "y": [1.0, 2.0]}])
def test_columns_must_be_of_one_length_and_not_empty(columns):
    with pytest.raises(ValueError, match="one length"):
        Bootstrap(columns)
