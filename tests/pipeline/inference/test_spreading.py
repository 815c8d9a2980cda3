"""How far a hint reaches."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.inference.spreading import END, distances, shares


def seed(shape: tuple[int, int], *places: tuple[int, int]) -> NDArray[np.bool_]:
    seeds = np.zeros((len(places), *shape), np.bool_)
    for mask, place in zip(seeds, places, strict=True):
        mask[place] = True
    return seeds


def test_even_gray_is_crossed_and_an_edge_is_not() -> None:
    gray = np.full((60, 80), 100, np.uint8)
    gray[:, 40:] = 160
    (far,) = distances(gray, seed(gray.shape, (30, 10)))
    assert far[30, 10] == 0
    assert far[:, :38].max() < END / 2
    assert far[:, 43:].min() >= END


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_faint_edge_is_none_the_less_an_edge(width: int) -> None:
    ramp = np.clip((np.arange(80) - 40) / width + 1, 0, 1)
    row = 100 + 30 * ramp + np.random.default_rng(0).normal(0, 2, (60, 80))
    (far,) = distances(row.round().astype(np.uint8), seed(row.shape, (30, 10)))
    assert far[20:40, :36].max() < END / 2
    assert far[:, 43:].min() >= END


@pytest.mark.parametrize("levels", [-40, 25, 60])
def test_an_edge_holds_whichever_way_it_runs(levels: int) -> None:
    rows, columns = np.mgrid[-50:50, -60:60]
    disc = np.hypot(rows, columns) < 35
    gray = np.where(disc, 120 + levels, 120).astype(np.uint8)
    (far,) = distances(gray, seed(gray.shape, (50, 60)))
    assert far[np.hypot(rows, columns) < 32].max() < END / 2
    assert far[np.hypot(rows, columns) > 38].min() >= END


def test_fur_is_passed_and_its_end_is_an_edge() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (100, 160)).astype(np.float32)
    fur = cv2.GaussianBlur(noise, (0, 0), 2)
    gray = 70 + 20 * fur / fur.std()
    gray[:, 100:] = 200
    (far,) = distances(gray.clip(0, 255).astype(np.uint8), seed(gray.shape, (50, 50)))
    assert np.mean(far[:, :95] < END) > 0.9
    assert far[:, 104:].min() >= END


def test_what_it_reaches_it_reaches_up_to_the_edge() -> None:
    gray = np.full((60, 80), 100, np.uint8)
    gray[:, 40:] = 200
    (far,) = distances(gray, seed(gray.shape, (30, 10)))
    assert far[20:40, 39].max() < END / 2
    assert far[:, 40].min() >= END


def test_the_way_leads_around_a_wall() -> None:
    gray = np.full((60, 80), 100, np.uint8)
    gray[:20, 38:42] = 250
    (far,) = distances(gray, seed(gray.shape, (5, 10)))
    # Not through the wall, but below it.
    assert far[5, 10] < far[5, 35] < far[25, 40] < far[5, 45] < END


def test_shading_is_crossed_and_noise_too() -> None:
    shaded = np.repeat(np.linspace(60, 200, 120)[None], 80, axis=0)
    noisy = shaded + np.random.default_rng(0).normal(0, 3, shaded.shape)
    (far,) = distances(noisy.astype(np.uint8), seed((80, 120), (40, 20)))
    assert far.max() < END


def test_a_hints_own_place_is_its_own_however_near_another_is() -> None:
    gray = np.full((40, 40), 100, np.uint8)
    mine = shares(distances(gray, seed(gray.shape, (20, 20), (20, 21))))
    assert mine[0, 20, 20] > 0.99
    assert mine[1, 20, 21] > 0.99
    assert mine.sum(axis=0).max() <= 1
    far_away = shares(np.full((1, 2, 2), END, np.float32))
    assert not far_away.any()
