"""Files as a stream: order, bounds, and what must not be written."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from predictors import Rainbow

from pipeline.color import Float
from pipeline.colorizer import Colorizer
from pipeline.colorizing import streaming
from pipeline.colorizing.photo_folders import Job
from pipeline.colorizing.streaming import colorize_files
from pipeline.errors import Failure


def jobs_for(folder: Path, sizes: list[tuple[int, int]]) -> list[Job | Failure]:
    jobs: list[Job | Failure] = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.png"
        Image.new("L", size, 40 + number).save(path)
        jobs.append(Job(path.name, path, folder / "out" / path.name))
    return jobs


def test_outcomes_come_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, [(10 + 40 * (n % 3), 30) for n in range(25)])
    (tmp_path / "7.png").write_bytes(b"damaged")
    jobs.insert(3, Failure("link", "leads nowhere"))
    outcomes = list(colorize_files(Colorizer(Rainbow()), jobs, workers=3))
    expected = [job.what if isinstance(job, Failure) else job.name for job in jobs]
    assert [outcome.name for outcome in outcomes] == expected
    failed = {outcome.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert failed["link"] == "leads nowhere"
    assert sorted(failed) == ["7.png", "link"]
    assert not (tmp_path / "out" / "7.png").exists()


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, [(30 + n, 40) for n in range(9)])
    list(colorize_files(Colorizer(Rainbow()), jobs, workers=1))
    one = [(tmp_path / "out" / f"{n}.png").read_bytes() for n in range(9)]
    list(colorize_files(Colorizer(Rainbow()), jobs, workers=4, existing="overwrite"))
    assert [(tmp_path / "out" / f"{n}.png").read_bytes() for n in range(9)] == one


def test_large_photos_are_not_under_way_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PIXELS_UNDER_WAY", 20_000)
    monkeypatch.setattr(streaming, "PIXELS_IN_GROUP", 8_000)

    class Counting(Rainbow):
        now, most = 0, 0
        guard = threading.Lock()

        def predict(self, grays: NDArray[np.uint8]) -> Float:
            with self.guard:
                self.now += 1
                self.most = max(self.most, self.now)
            threading.Event().wait(0.02)
            with self.guard:
                self.now -= 1
            return super().predict(grays)

    large = Counting()
    jobs = jobs_for(tmp_path, [(100, 120)] * 6)
    assert len(list(colorize_files(Colorizer(large), jobs, workers=4))) == 6
    assert large.most == 1
    assert {shape[0] for shape in large.shapes} == {1}


def test_an_error_of_the_network_ends_the_run(tmp_path: Path) -> None:
    class Broken(Rainbow):
        def predict(self, grays: NDArray[np.uint8]) -> Float:
            raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        list(colorize_files(Colorizer(Broken()), jobs_for(tmp_path, [(9, 9)])))
    assert not (tmp_path / "out").exists()


def test_a_file_that_appears_in_the_meantime_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = jobs_for(tmp_path, [(9, 9)])

    class Late(Rainbow):
        def predict(self, grays: NDArray[np.uint8]) -> Float:
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "0.png").write_bytes(b"somebody else's")
            return super().predict(grays)

    (outcome,) = colorize_files(Colorizer(Late()), [job])
    assert outcome.status == "failed"
    assert (tmp_path / "out" / "0.png").read_bytes() == b"somebody else's"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]


def test_where_files_need_names_from_the_start_nothing_is_left_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.O_TMPFILE", raising=False)
    (job,) = jobs_for(tmp_path, [(9, 9)])
    assert [o.status for o in colorize_files(Colorizer(Rainbow()), [job])] == ["colorized"]
    assert [o.status for o in colorize_files(Colorizer(Rainbow()), [job])] == ["failed"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]
