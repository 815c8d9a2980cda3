"""Colors over time, with networks whose answers are known."""

from __future__ import annotations

import itertools

import cv2
import films
import numpy as np
import pytest
import skimage.data

from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.video.steadiness import SteadyColors


class Wavering:
    """A network that sees red and green by turns."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, gray: Gray) -> Float:
        self.calls += 1
        return np.full((*gray.shape, 2), (20 if self.calls % 2 else -20, 0), np.float32)


def moving(count: int, speed: int = 1) -> list[Gray]:
    """A photo that moves to the left."""
    photo = cv2.resize(skimage.data.camera(), (160, 160), interpolation=cv2.INTER_AREA)
    return [np.asarray(photo)[40:104, n * speed : n * speed + 96] for n in range(count)]


def test_zero_colors_each_frame_by_itself() -> None:
    network = Wavering()
    steady = SteadyColors(network, 0)
    reds = [float(steady.color(gray)[..., 0].mean()) for gray in moving(6)]
    assert network.calls == 6
    assert all(red * following < 0 for red, following in itertools.pairwise(reds))


def test_a_wavering_network_gives_steady_colors() -> None:
    network = Wavering()
    steady = SteadyColors(network, 0.9)
    reds = [steady.color(gray)[16:48, 32:64, 0].mean() for gray in moving(40)]
    assert network.calls < 20
    assert np.abs(np.diff(reds[20:])).max() < 4
    wavers = SteadyColors(Wavering(), 0)
    alone = [wavers.color(gray)[16:48, 32:64, 0].mean() for gray in moving(4)]
    assert np.abs(np.diff(alone)).min() > 20


def test_colors_move_with_the_things_they_belong_to() -> None:
    frames = moving(13, speed=2)

    def half(gray: Gray) -> Float:
        """Red to the left of where the middle of the first frame has moved to."""
        ab = np.zeros((*gray.shape, 2), np.float32)
        ab[:, :48, 0] = 30
        return ab

    steady = SteadyColors(half, 1)
    first = steady.color(frames[0])
    for gray in frames[1:3]:
        moved = steady.color(gray)
    # The border has moved from column 48 to 44.
    assert first[:, 45:47, 0].mean() > 15
    assert moved[:, 45:47, 0].mean() < 0.6 * first[:, 45:47, 0].mean()
    assert moved[:, 38:42, 0].mean() > 15


def test_uncovered_places_look_like_those_around_them() -> None:
    photo = cv2.resize(skimage.data.camera(), (160, 160), interpolation=cv2.INTER_AREA)
    steady = SteadyColors(Wavering(), 0.7)
    steps = []
    for left in range(24, 96, 12):
        gray = np.asarray(photo)[:96].copy()
        gray[8:88, left : left + 40] = 250
        reds = steady.color(gray)[30:66, :, 0].mean(axis=0)
        if left > 24:
            steps.append(abs(reds[left - 9 : left - 3].mean() - reds[: left - 16].mean()))
    # The network's two answers are 55 apart.
    assert np.mean(steps) < 15


def test_colors_do_not_cross_a_cut() -> None:
    network = Wavering()
    steady = SteadyColors(network, 0.9)
    (first,) = moving(1)
    steady.color(first)
    other = (255 - films.picture(0, first.shape) // 2).astype(np.uint8)
    assert steady.color(other).mean() < 0  # the second answer alone
    assert network.calls == 2


def test_one_keeps_the_first_colors() -> None:
    steady = SteadyColors(Wavering(), 1)
    frames = moving(12)
    first = steady.color(frames[0])[16:48, 48:, 0].mean()
    for gray in frames[1:]:
        last = steady.color(gray)
    # The second answer counts half, and from then on nothing changes.
    assert np.isfinite(last).all()
    assert abs(last[16:48, 16:48, 0].mean()) < abs(first)


def test_another_goes_on_from_the_state() -> None:
    frames = moving(10)
    whole = SteadyColors(Wavering(), 0.8)
    expected = [whole.color(gray) for gray in frames]
    network = Wavering()
    first = SteadyColors(network, 0.8)
    for gray in frames[:5]:
        first.color(gray)
    second = SteadyColors(network, 0.8, first.state)
    for gray, colors in zip(frames[5:], expected[5:], strict=True):
        assert np.array_equal(second.color(gray), colors)


@pytest.mark.parametrize("steady", [0.0, 0.5, 1.0])
def test_still_pictures_stay_as_predicted(steady: float) -> None:
    (gray,) = moving(1)
    colors = SteadyColors(lambda gray: np.full((*gray.shape, 2), 12, np.float32), steady)
    first = colors.color(gray)
    for _ in range(6):
        assert np.allclose(colors.color(gray), first, atol=1e-2)
