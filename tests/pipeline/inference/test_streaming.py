"""Files as a stream: order, bounds, and what must not be written."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from predictors import Rainbow

from pipeline.errors import Failure, StoppedError
from pipeline.imaging.color import Float
from pipeline.imaging.formats import photo_file
from pipeline.imaging.formats.page import PhotoFile
from pipeline.inference import colorizer as colorizer_module
from pipeline.inference import streaming
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import Settings, colorize_files


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


class Overtaken(Rainbow):
    """While it predicts, another command writes the result."""

    def __init__(self, result: Path) -> None:
        super().__init__()
        self.result = result

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        self.result.parent.mkdir(exist_ok=True)
        self.result.write_bytes(b"another's")
        return super().predict(grays)


@pytest.mark.parametrize(
    ("existing", "status", "said"),
    [("skip", "skipped", ""), ("refuse", "failed", "0.png is there already; use --overwrite or")],
)
def test_what_another_command_wrote_meanwhile_counts_as_there(
    existing: streaming.Existing, status: str, said: str, tmp_path: Path
) -> None:
    jobs = jobs_for(tmp_path, [(40, 30)])
    result = tmp_path / "out" / "0.png"
    (outcome,) = colorize_files(Colorizer(Overtaken(result)), jobs, Settings(existing))
    assert outcome.status == status
    assert said in outcome.reason
    assert result.read_bytes() == b"another's"


class Pale(Rainbow):
    """As colors come out that the network is not sure of."""

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        return super().predict(grays) / 50


def test_a_photo_with_hardly_any_color_gets_a_note_unless_its_colors_are_known(
    tmp_path: Path,
) -> None:
    (job,) = jobs_for(tmp_path, [(60, 40)])
    assert isinstance(job, Job)

    def note(predictor: Rainbow, *hints: Hint, strength: float = 1.0) -> str:
        colorizer = Colorizer(predictor, strength=strength)
        settings = Settings("overwrite")
        (outcome,) = colorize_files(colorizer, [replace(job, hints=hints)], settings)
        return outcome.note

    assert "little more than a guess" in note(Pale())
    assert not note(Rainbow())
    assert not note(Rainbow(), strength=0.1)  # asked for
    assert not note(Pale(), Hint(10, 10, "crimson"))


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path, [(30 + n, 40) for n in range(9)])
    list(colorize_files(Colorizer(Rainbow()), jobs, workers=1))
    one = [(tmp_path / "out" / f"{n}.png").read_bytes() for n in range(9)]
    list(colorize_files(Colorizer(Rainbow()), jobs, workers=4, settings=Settings("overwrite")))
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


def test_a_large_network_has_fewer_pictures_under_way_and_more_threads_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_for(tmp_path, [(9, 9)] * 6)
    # An eighth of the usual sizes: nothing but the time is different.
    monkeypatch.setattr(colorizer_module, "BATCH_SIZE", 32)
    monkeypatch.setattr(streaming, "BATCH_SIZE", 32)
    monkeypatch.setattr(streaming, "NETWORK_PIXELS", 256**2)

    def handled(size: int) -> tuple[int, int]:
        pools = []

        class Pool(ThreadPoolExecutor):
            def __init__(self, threads: int, **named: str) -> None:
                pools.append(threads)
                super().__init__(threads, **named)

        monkeypatch.setattr(streaming, "ThreadPoolExecutor", Pool)
        network = Rainbow()
        outcomes = colorize_files(
            Colorizer(network, size=size), jobs, Settings("overwrite"), workers=8
        )
        assert {outcome.status for outcome in outcomes} == {"colorized"}
        return pools[0], network.threads

    assert handled(8) == handled(32) == (8, 1)
    assert handled(128) == (4, 2)
    assert handled(256) == (1, 8)
    monkeypatch.setattr(streaming, "NETWORK_PIXELS", 2 * 128**2)
    assert handled(128) == (2, 4)
    assert handled(32) == (8, 1)


class Failing(Rainbow):
    """Fails for the picture of photo 2, whatever pictures are beside it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        if (grays == 42).all((1, 2)).any():
            raise self.error
        return super().predict(grays)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no such layer\nand more"), "colorized (RuntimeError: no such layer)"),
        (OSError(5, "Input/output error"), "colorized (Input/output error)"),
    ],
)
def test_what_the_network_cannot_do_is_that_photo_s_failure(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    outcomes = list(colorize_files(Colorizer(Failing(error)), jobs_for(tmp_path, [(9, 9)] * 6)))
    failed = {outcome.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert failed == {"2.png": f"could not be {reason}"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{number}.png" for number in (0, 1, 3, 4, 5)
    ]


@pytest.mark.parametrize("step", ["open_file", "encode"])
def test_an_error_that_nobody_thought_of_is_that_photo_s_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    jobs = jobs_for(tmp_path, [(9, 9)] * 2 + [(11, 9)] + [(9, 9)] * 2)
    done = getattr(photo_file, step)

    def broken(what: Path | PhotoFile, *arguments: Any) -> PhotoFile | bytes:
        wide = isinstance(what, PhotoFile) and what.size == (11, 9)
        if wide or what == tmp_path / "2.png":
            raise ValueError("no such word")
        return done(what, *arguments)

    monkeypatch.setattr(photo_file, step, broken)
    outcomes = list(colorize_files(Colorizer(Rainbow()), jobs))
    failed = {outcome.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    undone = "read" if step == "open_file" else "written"
    assert failed == {"2.png": f"could not be {undone} (ValueError: no such word)"}
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoppedError("Stopped.")])
def test_a_stop_is_no_failure(tmp_path: Path, error: BaseException) -> None:
    jobs = jobs_for(tmp_path, [(9, 9)] * 6)
    with pytest.raises(type(error)):
        list(colorize_files(Colorizer(Failing(error)), jobs))


def test_where_memory_runs_out_photos_go_through_one_by_one(tmp_path: Path) -> None:
    class Small(Rainbow):
        def predict(self, grays: NDArray[np.uint8]) -> Float:
            if len(grays) > 1 or (grays == 42).all():
                torch.empty(2**55)
            return super().predict(grays)

    small = Small()
    outcomes = list(colorize_files(Colorizer(small), jobs_for(tmp_path, [(9, 9)] * 6)))
    failed = {outcome.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert failed == {"2.png": "memory ran out; lower --size"}
    assert small.shapes == [(1, 64, 64)] * 5


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


def test_a_photo_with_hints_that_are_no_use_fails_alone(tmp_path: Path) -> None:
    jobs = [job for job in jobs_for(tmp_path, [(40, 30)] * 4) if isinstance(job, Job)]
    (tmp_path / "1.json").write_text("no hints")
    frames = [Image.new("L", (40, 30), 40), Image.new("L", (40, 30), 90)]
    frames[0].save(tmp_path / "3.tif", save_all=True, append_images=frames[1:])
    jobs[1] = replace(jobs[1], hints=tmp_path / "1.json")
    jobs[2] = replace(jobs[2], hints=(Hint(40, 10, "red"),))
    paged = Job("3.tif", tmp_path / "3.tif", tmp_path / "out/3.tif", (Hint(4, 10, "red"),))
    outcomes = list(colorize_files(Colorizer(Rainbow()), [*jobs[:3], paged]))
    assert [outcome.status for outcome in outcomes] == ["colorized", *["failed"] * 3]
    reasons = [outcome.reason for outcome in outcomes]
    assert "1.json is not a file of hints" in reasons[1]
    assert "at 40,10 is outside of the photo, which has 40 x 30 pixels" in reasons[2]
    assert reasons[3] == "hints are for photos of one page, and this one has 2"


def test_a_document_that_fails_leaves_no_page(tmp_path: Path) -> None:
    class Failing(Rainbow):
        def predict(self, grays: NDArray[np.uint8]) -> Float:
            if grays.mean() > 150:
                raise ValueError("too bright")
            return super().predict(grays)

    first, *others = (Image.new("L", (40, 30), level) for level in (40, 90, 200))
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    job = Job("a.tif", tmp_path / "a.tif", tmp_path / "out/a.png")
    settings = Settings(format="png")
    (failed,) = colorize_files(Colorizer(Failing()), [job], settings)
    assert failed.status == "failed"
    assert "page 3" in failed.reason
    assert not list((tmp_path / "out").glob("*"))
    (done,) = colorize_files(Colorizer(Rainbow()), [job], settings)
    assert [path.name for path in done.outputs] == ["a-1.png", "a-2.png", "a-3.png"]
    assert all(path.is_file() for path in done.outputs)


def test_pages_that_cannot_be_written_are_not_said_to_be_unreadable(tmp_path: Path) -> None:
    first, other = (Image.new("L", (40, 30), level) for level in (40, 90))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[other])
    (tmp_path / "out").touch()
    job = Job("a.tif", tmp_path / "a.tif", tmp_path / "out/a.tif")
    (failed,) = colorize_files(Colorizer(Rainbow()), [job])
    assert failed.reason.startswith("could not be written (")
