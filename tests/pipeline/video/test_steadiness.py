"""Colors over time, with networks whose answers are known."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import films
import numpy as np
import pytest
import skimage.data

from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.video.steadiness import INTERVAL, SteadyColors


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


def colored(steady: SteadyColors, grays: Iterable[Gray]) -> list[Float]:
    """The colors of all frames of a film."""
    return [known for gray in grays for known in steady.add(gray)] + steady.finish()


def test_zero_colors_each_frame_by_itself() -> None:
    network = Wavering()
    (first, *others) = moving(6)
    steady = SteadyColors(network, 0)
    (known,) = steady.add(first)
    reds = [float(each[..., 0].mean()) for each in (known, *colored(steady, others))]
    assert network.calls == 6
    assert all(red * following < 0 for red, following in itertools.pairwise(reds))


def test_a_wavering_network_gives_steady_colors() -> None:
    network = Wavering()
    frames = moving(40)
    reds = [colors[16:48, 32:64, 0].mean() for colors in colored(SteadyColors(network), frames)]
    assert len(reds) == 40
    assert network.calls < 20
    assert np.abs(np.diff(reds[4:-4])).max() < 4
    alone = [c[16:48, 32:64, 0].mean() for c in colored(SteadyColors(Wavering(), 0), frames[:4])]
    assert np.abs(np.diff(alone)).min() > 20


def test_frames_are_a_few_late() -> None:
    steady = SteadyColors(Wavering())
    taken, given = 0, 0
    for gray in moving(40):
        given += len(steady.add(gray))
        taken += 1
        assert taken - given <= 2 * INTERVAL
    assert given + len(steady.finish()) == taken


def test_colors_change_neither_late_nor_early() -> None:
    frames = moving(25)
    seen = iter([-20.0] * 3 + [20.0] * 4)

    def changing(gray: Gray) -> Float:
        """Another answer from the fourth key frame on: the twelfth frame."""
        return np.full((*gray.shape, 2), (next(seen), 0), np.float32)

    reds = np.array([c[16:48, 32:64, 0].mean() for c in colored(SteadyColors(changing, 1), frames)])
    middle = (reds[0] + reds[-1]) / 2
    changed = int(np.argmax(reds > middle))
    assert 10 <= changed <= 11
    # As long before as after: no step from a frame to the next.
    assert np.diff(reds).max() < 0.2 * (reds[-1] - reds[0])


def test_colors_move_with_the_things_they_belong_to() -> None:
    frames = moving(5, speed=2)
    columns = iter([48, 40])

    def half(gray: Gray) -> Float:
        """Red to the left of where the middle of the first frame has moved to."""
        ab = np.zeros((*gray.shape, 2), np.float32)
        ab[:, : next(columns), 0] = 30
        return ab

    steady = SteadyColors(half, 1)
    first, _, third, _, last = colored(steady, frames)
    # The network saw the first frame and the last; the border has moved from column 48 to 44.
    assert steady.predictions == 2
    assert first[:, 45:47, 0].mean() > 15
    assert third[:, 45:47, 0].mean() < 0.4 * first[:, 45:47, 0].mean()
    assert third[:, 38:42, 0].mean() > 15
    assert last[:, 42:46, 0].mean() < 5


def test_uncovered_places_look_like_those_around_them() -> None:
    photo = cv2.resize(skimage.data.camera(), (160, 160), interpolation=cv2.INTER_AREA)
    lefts = range(24, 96, 12)
    frames, steps = [], []
    for left in lefts:
        gray = np.asarray(photo)[:96].copy()
        gray[8:88, left : left + 40] = 250
        frames.append(gray)
    for left, colors in zip(lefts, colored(SteadyColors(Wavering()), frames), strict=True):
        reds = colors[30:66, :, 0].mean(axis=0)
        if left > 24:
            steps.append(abs(reds[left - 9 : left - 3].mean() - reds[: left - 16].mean()))
    # The network's two answers are 55 apart.
    assert np.mean(steps) < 15


def test_what_no_key_frame_has_seen_takes_the_colors_of_its_tone() -> None:
    (gray,) = moving(1)
    wall = gray // 4
    wall[:, 48:] += 160
    flash = wall.copy()
    flash[28:34, 45:48] = 190

    def by_tone(seen: Gray) -> Float:
        """Red where it is bright."""
        red = np.where(seen > 128, np.float32(30), np.float32(0))
        return np.dstack([red, np.zeros_like(red)])

    _, _, colors, _, _ = colored(SteadyColors(by_tone), [wall, wall, flash, wall, wall])
    bright = colors[28:34, 60:90, 0].mean()
    assert colors[29:33, 45:48, 0].mean() > 0.75 * bright
    assert colors[10:50, 10:30, 0].mean() < 0.1 * bright


def test_colors_do_not_cross_a_cut() -> None:
    network = Wavering()
    (first,) = moving(1)
    other = (255 - films.picture(0, first.shape) // 2).astype(np.uint8)
    before, after = colored(SteadyColors(network), [first, other])
    assert before.mean() > 0 > after.mean()
    assert network.calls == 2


def test_pictures_of_another_size_are_another_scene() -> None:
    frames = moving(2)
    first, second = colored(SteadyColors(Wavering()), [frames[0], frames[1][:, :64]])
    assert (first.shape, second.shape) == ((64, 96, 2), (64, 64, 2))
    assert first.mean() > 0 > second.mean()


def test_another_goes_on_from_the_state() -> None:
    frames = moving(10)
    network = Wavering()
    whole = SteadyColors(network, 0.8)
    expected = colored(whole, frames[:5]) + colored(whole, frames[5:])
    network = Wavering()
    first = SteadyColors(network, 0.8)
    colored(first, frames[:5])
    second = SteadyColors(network, 0.8, first.state)
    for colors, same in zip(colored(second, frames[5:]), expected[5:], strict=True):
        assert np.array_equal(colors, same)


@pytest.mark.parametrize("steady", [0.0, 0.5, 1.0])
def test_still_pictures_stay_as_predicted(steady: float) -> None:
    (gray,) = moving(1)
    still = SteadyColors(lambda gray: np.full((*gray.shape, 2), 12, np.float32), steady)
    first, *others = colored(still, [gray] * 7)
    assert all(np.allclose(colors, first, atol=1e-2) for colors in others)
