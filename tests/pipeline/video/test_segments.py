"""Work on a film that is cut off and continued."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
import skimage.data
from predictors import Rainbow

from pipeline.engines.pool import ready_to_fork
from pipeline.errors import StoppedError
from pipeline.inference.colorizer import Colorizer
from pipeline.video import color_film as work
from pipeline.video.color_film import color_film
from pipeline.video.errors import FilmError
from pipeline.video.reading import Film
from pipeline.video.segments import Segment, SegmentCache, in_order
from pipeline.video.settings import Encoding, FilmSettings, Progress, Result, clock
from pipeline.video.steadiness import ColorState

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
    with pytest.raises(StoppedError, match=r"gray\.mkv at 0:00:0") as stopped:
        color(source, tmp_path / "color.mkv", after_frames(after))
    kept = films.times_of(source)[after // 10 * 10 - 1] if after >= 10 else 0
    assert f"continues it from {clock(kept)};" in str(stopped.value)
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
        with ready_to_fork():
            process.start()
        deadline = time.monotonic() + 60
        folder = tmp_path / ".color.mkv.parts"
        while process.is_alive() and time.monotonic() < deadline:
            if len(list(folder.glob("0*.part"))) >= part:
                process.kill()
            time.sleep(0.001)
        process.kill()
        process.join()
        assert time.monotonic() < deadline
    _, result = color(source, tmp_path / "color.mkv")
    assert result.frames == 37
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")
    assert left_behind(tmp_path) == {"color.mkv"}


def test_ten_kills_leave_the_film_as_it_is_without(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    color(source, tmp_path / "whole.mkv")
    # Frames colored and packets joined until the kill. Parts end at frames 10, 20 and 30.
    for number in (0, 4, 10, 3, 12, 9, 10, 6, 12, 36):
        killed = _KilledAfter(number)
        process = multiprocessing.get_context("fork").Process(
            target=color, args=(source, tmp_path / "color.mkv", killed)
        )
        with monkeypatch.context() as patch:
            patch.setattr(work, "in_order", killed.in_order)
            with ready_to_fork():
                process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not (tmp_path / "color.mkv").exists()
    progress, result = color(source, tmp_path / "color.mkv")
    assert (progress, result.frames) == ([], 37)
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")
    assert left_behind(tmp_path) == {"color.mkv"}


class _KilledAfter:
    """Kills its process after so many frames and packets."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self) -> bool:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return False

    def in_order(self, *arguments: Any) -> Iterator[Any]:
        """Count the packets that are joined, and frames no more."""
        for packet in in_order(*arguments):
            self()
            yield packet


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[av.VideoFrame]:
    """All frames that are decoded from then on."""
    frames = []
    decode = Film._decoded

    def noted(film: Film) -> Iterator[av.VideoFrame]:
        for frame in decode(film):
            frames.append(frame)
            yield frame

    monkeypatch.setattr(Film, "_decoded", noted)
    return frames


GROUPS = {
    "closed": "keyint=8:scenecut=0:bframes=3",
    "open": "keyint=8:scenecut=0:bframes=3:open-gop=1",
    "refreshed": "keyint=8:scenecut=0:intra-refresh=1",
}
"""How x264 lets a decoder begin every eighth frame; "refreshed" has a stripe of each in its own."""


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".avi"])
def test_a_film_is_continued_from_a_key_frame_where_that_is_the_same(
    suffix: str,
    groups: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[av.VideoFrame],
) -> None:
    monkeypatch.setattr(work, "FRAMES", 10)
    photo = skimage.data.camera().astype(np.uint16)
    source = films.write_film(
        tmp_path / f"gray{suffix}",
        codec="libx264",
        times=range(0, 80 * 40, 40),
        pictures=[photo[n : n + 64, 2 * n : 2 * n + 96] for n in range(80)],
        **{"x264-params": GROUPS[groups]},
    )
    color(source, tmp_path / "whole.mkv")
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(65))
    decoded.clear()
    progress, _ = color(source, tmp_path / "color.mkv")
    assert progress[0].frames == 61
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")
    # Some are looked at before, 20 are left, and a key frame is less than 8 and a second away.
    if suffix in {".mkv", ".mp4"} and groups != "refreshed":
        assert len(decoded) <= work.EARLY + 20 + 8 + 25


def test_a_film_whose_key_frames_are_none_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "FRAMES", 10)
    true = films.write_film(
        tmp_path / "true.mkv", codec="mpeg4", times=range(0, 80 * 40, 40), g="80"
    )
    source = films.copy(true, tmp_path / "gray.mkv", all_keys=True)
    color(source, tmp_path / "whole.mkv")
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(65))
    color(source, tmp_path / "color.mkv")
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")


def test_a_tried_part_is_decoded_from_a_key_frame(
    tmp_path: Path, decoded: list[av.VideoFrame]
) -> None:
    source = films.write_film(
        tmp_path / "gray.mkv",
        codec="libx264",
        times=range(0, 100 * 40, 40),
        **{"x264-params": GROUPS["open"]},
    )
    settings = replace(SETTINGS, start=3, duration=0.2)
    decoded.clear()
    color(source, tmp_path / "color.mkv", settings=settings)
    assert len(decoded) <= work.EARLY + 5 + 8 + 25
    lumas = [films.planes_of(frame)[0] for frame in films.frames_of(tmp_path / "color.mkv")]
    before = [films.planes_of(frame)[0] for frame in films.frames_of(source)]
    assert np.array_equal(lumas, before[75:80])


def test_damage_before_the_last_part_is_still_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "FRAMES", 10)
    source = films.write_film(
        tmp_path / "gray.mkv", codec="libx264", times=range(0, 60 * 40, 40), g="8"
    )
    content = bytearray(source.read_bytes())
    start = len(content) * 3 // 10
    content[start : start + 60] = b"\xff" * 60
    source.write_bytes(content)
    _, whole = color(source, tmp_path / "whole.mkv")
    assert "could not be read from 0:00:0" in whole.damage
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(35))
    _, result = color(source, tmp_path / "color.mkv")
    assert result == whole
    assert packets(tmp_path / "color.mkv") == packets(tmp_path / "whole.mkv")


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


def test_a_label_is_added_to_what_is_done(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        color(source, tmp_path / "color.mkv", after_frames(15))
    labeled = replace(SETTINGS, label="the colors are a guess")
    progress, _ = color(source, tmp_path / "color.mkv", settings=labeled)
    assert progress[0].frames == 11
    with av.open(str(tmp_path / "color.mkv")) as film:
        assert "the colors are a guess" in film.metadata.values()


def test_the_longest_names_have_parts(source: Path, tmp_path: Path) -> None:
    target = tmp_path / ("ж" * 125 + "a.mkv")
    assert len(os.fsencode(target.name)) == 255
    with pytest.raises(StoppedError):
        color(source, target, after_frames(15))
    progress, _ = color(source, target)
    assert progress[0].frames == 11
    assert left_behind(tmp_path) == {target.name}


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


def test_nobody_else_begins_in_a_folder_that_is_being_removed(tmp_path: Path) -> None:
    class Watched(SegmentCache):
        def remove(self) -> None:
            with (
                pytest.raises(FilmError, match="another process"),
                SegmentCache(tmp_path / "color.mkv", {}),
            ):
                pass
            super().remove()

    with Watched(tmp_path / "color.mkv", {}):
        pass
    assert not list(tmp_path.iterdir())


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


def test_of_many_parts_only_the_last_ones_colors_are_in_memory(tmp_path: Path) -> None:
    colors = np.ones((256, 256, 2), np.float32)
    state = ColorState(np.zeros((256, 256), np.uint8), colors, colors)
    with SegmentCache(tmp_path / "film.mkv", {}) as cache:
        for number in range(12):
            with cache.add(number) as writer:
                writer.finish(Segment(1, number, state))
        tracemalloc.start()
        try:
            parts = cache.whole()
            assert tracemalloc.get_traced_memory()[0] < 3 * colors.nbytes
        finally:
            tracemalloc.stop()
    assert [part.last for part in parts] == [*range(12)]
    assert parts[-1].state is not None
    assert np.array_equal(parts[-1].state.colors, colors)
