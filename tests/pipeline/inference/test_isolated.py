"""A process of its own for colorizing: crashes, stops, silence."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from predictors import Rainbow

from pipeline.engines import process
from pipeline.engines.base import KILLED
from pipeline.engines.process import HANDED
from pipeline.errors import ColorpipeError, Failure
from pipeline.imaging.formats import photo_file
from pipeline.imaging.formats.page import PhotoFile
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.isolated import IsolatedColorizer
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import Settings

BOMB = b"bomb"


def open_or_crash(source: Path) -> PhotoFile:
    """As a fault in a decoder's C code would, a file with :data:`BOMB` ends its process."""
    if source.read_bytes() == BOMB:
        os.kill(os.getpid(), signal.SIGKILL)
    return open_file(source)


open_file = photo_file.open_file


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests define within themselves reaches a forked process only, not a spawned one."""
    monkeypatch.setattr(process, "_may_fork", lambda: True)


def colorizer() -> Colorizer:
    """Called in the process that colorizes, forked or spawned, and in no other."""
    photo_file.open_file = open_or_crash
    return Colorizer(Rainbow())


def jobs_of(folder: Path, bombs: set[int], count: int) -> list[Job | Failure]:
    jobs: list[Job | Failure] = []
    for number in range(count):
        path = folder / f"{number:02}.png"
        if number in bombs:
            path.write_bytes(BOMB)
        else:
            Image.new("L", (20, 20), 40 + number).save(path)
        jobs.append(Job(path.name, path, folder / "out" / path.name))
    return jobs


@pytest.mark.parametrize(("bombs", "count"), [({0}, 1), ({3, 4, 11}, 14), ({13}, 14)])
def test_a_crash_fails_one_photo_and_the_others_go_on(
    bombs: set[int], count: int, tmp_path: Path
) -> None:
    jobs = jobs_of(tmp_path, bombs, count)
    with IsolatedColorizer(colorizer) as isolated:
        outcomes = list(isolated.colorize_files(jobs, Settings()))
    assert [outcome.name for outcome in outcomes] == [f"{n:02}.png" for n in range(count)]
    reasons = {int(o.name[:2]): o.reason for o in outcomes if o.status == "failed"}
    assert reasons == dict.fromkeys(bombs, KILLED)
    assert len(list((tmp_path / "out").glob("*.png") if count > 1 else [])) == count - len(bombs)


@pytest.mark.parametrize("there_before", [False, True])
def test_results_of_a_killed_process_are_not_in_the_way(
    there_before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(tmp_path, {2}, 6)
    result = tmp_path / "out/01.png"

    def write_and_crash(source: Path) -> PhotoFile:
        if source.name == "02.png" and not result.exists():
            Image.new("RGB", (20, 20)).save(result)
        return open_or_crash(source)

    def load() -> Colorizer:
        photo_file.open_file = write_and_crash
        return Colorizer(Rainbow())

    result.parent.mkdir()
    if there_before:
        result.write_bytes(b"of the user")
    with IsolatedColorizer(load) as isolated:
        outcomes = list(isolated.colorize_files(jobs, Settings()))
    failed = {outcome.name for outcome in outcomes if outcome.status == "failed"}
    assert failed == ({"01.png", "02.png"} if there_before else {"02.png"})
    assert (result.read_bytes() == b"of the user") is there_before


def test_jobs_are_taken_up_a_bounded_number_ahead(tmp_path: Path) -> None:
    (job,) = jobs_of(tmp_path, set(), 1)
    taken = 0

    def endless() -> Iterator[Job | Failure]:
        nonlocal taken
        while True:
            taken += 1
            yield replace(job, target=tmp_path / f"out/{taken}.png")

    with IsolatedColorizer(colorizer) as isolated:
        outcomes = isolated.colorize_files(endless(), Settings())
        for _ in range(HANDED + 1):
            assert next(outcomes).status == "colorized"
        assert taken <= 3 * HANDED


def test_a_stop_ends_what_is_under_way(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, set(), 40)
    seen = []
    with IsolatedColorizer(colorizer) as isolated:
        for outcome in isolated.colorize_files(jobs, Settings(), lambda: len(seen) > 2):
            seen.append(outcome)
            time.sleep(0.05)
    assert 2 < len(seen) <= 40
    assert {path.name for path in (tmp_path / "out").iterdir()} == {o.name for o in seen}


def test_what_c_libraries_write_does_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Loud(Rainbow):
        def predict(self, grays):
            os.write(2, b"libsomething: bad tag")
            return super().predict(grays)

    with IsolatedColorizer(lambda: Colorizer(Loud())) as isolated:
        (outcome,) = isolated.colorize_files(jobs_of(tmp_path, set(), 1), Settings())
    assert outcome.status == "colorized"
    assert capfd.readouterr().err == ""


def test_what_loading_raises_is_raised_here() -> None:
    def load() -> Colorizer:
        raise ColorpipeError("There is no model.")

    with pytest.raises(ColorpipeError, match="no model"):
        IsolatedColorizer(load)
