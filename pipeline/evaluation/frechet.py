"""How far apart two sets of photos are as sets: Frechet and kernel distances of their features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating[Any]]
"""A row of numbers a photo: (photos, features)."""

_BLOCK = 2048


def frechet_distance(first: Features, second: Features) -> float:
    """Return the squared Frechet distance of the Gaussians fitted to two sets of features.

    ``|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))`` with means m and sample covariances S
    (over n - 1): Dowson and Landau (1982), as Heusel et al. (2017), "GANs trained by a two
    time-scale update rule converge to a local Nash equilibrium", use it for FID.

    The last trace is the sum of the singular values of ``A1 A2'``, where ``S = A' A`` and A are the
    centered features over sqrt(n - 1). No root of a covariance is taken, so that fewer photos than
    features, whose covariance is singular, need no offset on the diagonal.

    Raises:
        ValueError: a set has fewer than two photos, or the numbers of features differ.
    """
    _check(first, second)
    shift = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    a1, a2 = _root_of_covariance(first), _root_of_covariance(second)
    common = float(np.linalg.svd(a1 @ a2.T, compute_uv=False).sum())
    spread = float(np.square(a1).sum() + np.square(a2).sum())
    # Equal sets give a rounding error on either side of zero.
    return max(0.0, float(shift @ shift) + spread - 2 * common)


def _root_of_covariance(features: Features) -> NDArray[np.float64]:
    """Return A with ``A' A`` the sample covariance, no taller than it is wide."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    root = centered / np.sqrt(len(features) - 1)
    tall = root.shape[0] > root.shape[1]
    return np.asarray(np.linalg.qr(root, mode="r") if tall else root, np.float64)


def kernel_distance(first: Features, second: Features) -> float:
    """Return the squared maximum mean discrepancy under the kernel ``(x.y / d + 1)^3``.

    KID: Binkowski, Sutherland, Arbel and Gretton (2018), "Demystifying MMD GANs", section 4. The
    unbiased estimate over all pairs of photos, which is what the mean over random subsets, as it is
    usually computed, tends to. It can be slightly negative for sets that are alike.

    Raises:
        ValueError: a set has fewer than two photos, or the numbers of features differ.
    """
    _check(first, second)
    n1, n2 = len(first), len(second)
    within1 = _kernel_sum(first, first) - _kernel_diagonal(first)
    within2 = _kernel_sum(second, second) - _kernel_diagonal(second)
    between = _kernel_sum(first, second)
    return within1 / (n1 * (n1 - 1)) + within2 / (n2 * (n2 - 1)) - 2 * between / (n1 * n2)


def _kernel_sum(first: Features, second: Features) -> float:
    """Sum the kernel over all pairs, in blocks that keep the matrix of pairs small."""
    total = 0.0
    for i in range(0, len(first), _BLOCK):
        rows = first[i : i + _BLOCK].astype(np.float64)
        for j in range(0, len(second), _BLOCK):
            products = rows @ second[j : j + _BLOCK].astype(np.float64).T
            total += float(((products / rows.shape[1] + 1) ** 3).sum())
    return total


def _kernel_diagonal(features: Features) -> float:
    squares = np.square(features.astype(np.float64)).sum(axis=1)
    return float(((squares / features.shape[1] + 1) ** 3).sum())


def _check(first: Features, second: Features) -> None:
    if min(len(first), len(second)) < 2:
        raise ValueError("A distance between sets needs at least two photos in each.")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError("The two sets have different numbers of features.")
