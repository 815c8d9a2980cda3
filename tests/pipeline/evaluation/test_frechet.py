"""Distances between sets of features, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from pipeline.evaluation import frechet
from pipeline.evaluation.frechet import frechet_distance, kernel_distance


def drawn(count: int, features: int, seed: int, shift: float = 0.0) -> frechet.Features:
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(features, features))
    return random.normal(size=(count, features)) @ mixed + shift


def test_frechet_distance_is_what_its_formula_says():
    first, second = drawn(300, 12, 0), drawn(200, 12, 1, shift=0.5)
    s1, s2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(second, first) == pytest.approx(expected)


def test_frechet_distance_in_one_dimension():
    first, second = np.array([[0.0], [2.0]]), np.array([[5.0], [11.0]])
    expected = (1 - 8) ** 2 + (np.sqrt(2) - np.sqrt(18)) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_frechet_distance_of_fewer_photos_than_features():
    first = drawn(20, 96, 2)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first, first + 3) == pytest.approx(96 * 9)
    # Turning both sets together leaves the distance; here into 30 dimensions, where the covariance
    # of 40 photos is regular and the formula can be trusted.
    small, other = drawn(40, 30, 3), drawn(40, 30, 4)
    wide = np.linalg.qr(np.random.default_rng(5).normal(size=(96, 30)))[0]
    s1, s2 = np.cov(small, rowvar=False), np.cov(other, rowvar=False)
    shift = small.mean(axis=0) - other.mean(axis=0)
    expected = shift @ shift + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert frechet_distance(small @ wide.T, other @ wide.T) == pytest.approx(expected)


def test_kernel_distance_is_the_unbiased_estimate_over_all_pairs():
    first, second = drawn(7, 4, 6), drawn(5, 4, 7, shift=0.3)

    def kernel(x, y):
        return (x @ y / 4 + 1) ** 3

    within1 = np.mean(
        [kernel(x, y) for i, x in enumerate(first) for j, y in enumerate(first) if i != j]
    )
    within2 = np.mean(
        [kernel(x, y) for i, x in enumerate(second) for j, y in enumerate(second) if i != j]
    )
    between = np.mean([kernel(x, y) for x in first for y in second])
    expected = within1 + within2 - 2 * between
    assert kernel_distance(first, second) == pytest.approx(expected)


def test_kernel_distance_does_not_depend_on_its_blocks(monkeypatch):
    first, second = drawn(50, 8, 8), drawn(33, 8, 9)
    whole = kernel_distance(first, second)
    monkeypatch.setattr(frechet, "_BLOCK", 7)
    assert kernel_distance(first, second) == pytest.approx(whole)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_sets_that_cannot_be_compared_are_refused(distance):
    with pytest.raises(ValueError, match="at least two"):
        distance(drawn(1, 3, 0), drawn(5, 3, 0))
    with pytest.raises(ValueError, match="different numbers"):
        distance(drawn(5, 3, 0), drawn(5, 4, 0))
