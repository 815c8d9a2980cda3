"""Work on a film that is cut off and continued."""

from __future__ import annotations

import itertools
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from predictors import Rainbow

from pipeline.errors import StoppedError
from pipeline.inference.colorizer import Colorizer
from pipeline.video import color_film as work
from pipeline.video.color_film import color_film
from pipeline.video.errors import FilmError
from pipeline.video.segments import Segment, SegmentCache
from pipeline.video.settings import Encoding, FilmSettings, Progress, Result

SETTINGS = FilmSettings(Encoding(codec="ffv1"))
"""The same frames give the same bytes, which x264 with AVX-512 does not promise."""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(work, "FRAMES", 10)
    times = [40 * number + number % 3 for number in range(37)]
    return films.write_film(tmp_path / "gray.mkv", times=times)


def color(
    source: Path,
    target: Path,
    stopped: Callable[[], bool] = lambda: False,
    settings: FilmSettings = SETTINGS,
) -> tuple[list[Progress], Result]:
    steps = list(color_film(Colorizer(Rainbow()), source, target, settings, stopped))
    progress = [step for step in steps if isinstance(step, Progress)]
    (result,) = (step for step in steps if isinstance(step, Result))
    return progress, result


def after_frames(number: int) -> Callable[[], bool]:
    """What says, asked before each frame, to stop after so many."""
    asked = itertools.count()
    return lambda: next(asked) >= number


def packets(path: Path) -> list[tuple[float, bytes]]:
    return films.packets_of(path, "video")


def left_behind(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"gray.mkv", "whole.mkv"}


def test_other_files_in_the_folder_of_parts_stay(source: Path, tmp_path: Path) -> None:
    diary = tmp_path / ".whole.mkv.parts/diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    color(source, tmp_path / "whole.mkv")
    assert [path.name for path in diary.parent.iterdir()] == ["diary.txt"]


@pytest.mark.parametrize("after", [1, 9, 10, 25, 36])
def test_a_film_that_was_stopped_is_continued(after: int, source: Path, tmp_path: Path) -> None:
    color(source, tmp_path / "whole.mkv")
    with pytest.raises(StoppedError, match=r"gray\.mkv at 0:00:0"):
        color(source, tmp_path / "color.mkv", after_frames(after))
    assert left_behind(tmp_path) == ({".color.mkv.parts"} if after >= 10 else set())
    progress, result = color(source, tmp_path / "color.mkv")
    assert progress[0].frames == after // 10 * 10 + 1
    assert result.frames == 37
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")
    assert left_behind(tmp_path) == {"color.mkv"}


def test_a_film_that_was_killed_is_continued(source: Path, tmp_path: Path) -> None:
    color(source, tmp_path / "whole.mkv")
    context = multiprocessing.get_context("fork")
    for part in range(1, 4):
        process = context.Process(target=color, args=(source, tmp_path / "color.mkv"))
        process.start()
        deadline = time.monotonic() + 60
        folder = tmp_path / ".color.mkv.parts"
        while process.is_alive() and time.monotonic() < deadline:
            if len(list(folder.glob("0*.part"))) >= part:
                process.kill()
            time.sleep(0.001)
        process.join()
    _, result = color(source, tmp_path / "color.mkv")
    assert result.frames == 37
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")
    assert left_behind(tmp_path) <= {"color.mkv"} | {
        path.name for path in tmp_path.glob(".writing-*")
    }


def test_a_deinterlaced_film_that_was_stopped_has_the_same_frames(
    source: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, deinterlace=True)
    color(source, tmp_path / "whole.mkv", settings=settings)
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(15), settings)
    progress, result = color(source, tmp_path / "color.mkv", settings=settings)
    assert (progress[0].frames, result.frames) == (11, 37)
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")


def test_parts_join_to_rising_times(source: Path, tmp_path: Path) -> None:
    color(source, tmp_path / "color.mp4")
    assert films.times_of(tmp_path / "color.mp4") == pytest.approx(films.times_of(source))
    lumas = [films.planes_of(frame)[0] for frame in films.frames_of(tmp_path / "color.mp4")]
    for number, luma in enumerate(lumas):
        assert np.abs(luma.astype(int) - films.picture(number)).mean() < 3


def test_parts_of_other_settings_are_not_used(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(15))
    other = FilmSettings(steady=0.3)
    steps = list(color_film(Colorizer(Rainbow()), source, tmp_path / "color.mkv", other))
    assert isinstance(steps[0], Progress)
    assert steps[0].frames == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_part_is_made_again(damage: str, source: Path, tmp_path: Path) -> None:
    color(source, tmp_path / "whole.mkv")
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(25))
    part = tmp_path / ".color.mkv.parts/000001.part"
    content = bytearray(part.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    part.write_bytes(content[: {"cut": -1, "empty": 0}.get(damage)])
    progress, _ = color(source, tmp_path / "color.mkv")
    assert progress[0].frames == 11
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")


def test_two_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    with (
        SegmentCache(tmp_path / "color.mkv", {"a": 1}),
        pytest.raises(FilmError, match="another process"),
        SegmentCache(tmp_path / "color.mkv", {"a": 1}),
    ):
        pass


def test_a_full_disk_leaves_no_half_film(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(work, "join", full)
    with pytest.raises(OSError, match="No space left"):
        color(source, tmp_path / "color.mkv")
    assert left_behind(tmp_path) == {".color.mkv.parts"}
    monkeypatch.undo()
    monkeypatch.setattr(work, "FRAMES", 10)
    progress, result = color(source, tmp_path / "color.mkv")
    assert (progress, result.frames) == ([], 37)


def test_a_part_is_checked_without_loading_it(tmp_path: Path) -> None:
    packet: Any = av.Packet(1 << 25)
    with SegmentCache(tmp_path / "film.mkv", {}) as cache:
        with cache.add(0) as writer:
            writer.write([packet])
            writer.finish(Segment(1, 0, None))
        tracemalloc.start()
        try:
            assert cache.whole() == [Segment(1, 0, None)]
            assert tracemalloc.get_traced_memory()[1] < 1 << 23
        finally:
            tracemalloc.stop()
