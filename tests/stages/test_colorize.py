"""Folders of photos, good and hostile, through the whole stage."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import browser
import films
import numpy as np
import pytest
import skimage.data
import stand_ins
import tifffile
from full_disk import files_of_at_most
from numpy.typing import NDArray
from PIL import Image
from predictors import Rainbow

from pipeline.engines.base import KILLED, S
from pipeline.engines.local_engine import LocalEngine
from pipeline.engines.process import HoldingProcess
from pipeline.errors import ColorpipeError, StoppedError
from pipeline.evaluation.pair import compare
from pipeline.imaging.color import Float
from pipeline.imaging.formats import png
from pipeline.imaging.kinds import BY_NAME, WRITTEN, sniff
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint, as_json
from pipeline.inference.jobs import find_jobs
from pipeline.models.pretrained import pretrained_weights
from pipeline.params import ColorizeParams
from pipeline.video.settings import Encoding, FilmSettings
from stages.colorize import colorize

GRAY = Image.fromarray(skimage.data.camera()[:160, :200])
SUFFIXES_WRITTEN = [suffix for name in WRITTEN for suffix in BY_NAME[name].color_suffixes]
PARAMS = ColorizeParams(device="cpu", strength=1.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "generator.safetensors"
    return stand_ins.generator(path, cast=0.7)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub folder" / "deeper").mkdir(parents=True)
    GRAY.save(folder / "b.jpg", quality=90)
    GRAY.save(folder / "a.png")
    GRAY.rotate(90, expand=True).save(folder / "sub folder" / "-dash ü.png")
    GRAY.save(folder / "sub folder" / "deeper" / "c.JPEG", format="JPEG")
    (folder / "notes.txt").write_text("no photo")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_comes_out_with_its_sub_folders(photos: Path, model: Path, tmp_path: Path) -> None:
    before = files(photos)
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    assert files(photos) == before
    out = files(tmp_path / "out")
    assert list(out) == ["a.png", "b.jpg", "sub folder/-dash ü.png", "sub folder/deeper/c.JPEG"]
    with Image.open(tmp_path / "out" / "a.png") as result:
        assert result.mode == "RGB"
        assert np.array_equal(np.asarray(result.convert("L")), np.asarray(GRAY))


def test_outside_any_project_the_weights_that_ship_color_and_it_is_said(
    photos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert colorize(photos / "a.png", tmp_path / "default", None, PARAMS) == []
    told = "Colorizing with the pretrained weights "
    assert f"{told}{pretrained_weights()} (recipe colorpipe).\n" in capsys.readouterr().err
    assert colorize(photos / "a.png", tmp_path / "named", pretrained_weights(), PARAMS) == []
    assert files(tmp_path / "default") == files(tmp_path / "named")
    # In a project what was trained there comes first.
    Path("models").mkdir()
    Path("models/generator.safetensors").symlink_to(model)
    assert colorize(photos / "a.png", tmp_path / "trained", None, PARAMS) == []
    told = "Colorizing with models/generator.safetensors (recipe colorpipe).\n"
    assert told in capsys.readouterr().err
    assert files(tmp_path / "trained") != files(tmp_path / "default")


def test_a_single_photo_goes_into_a_folder_or_to_a_file(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    assert colorize(photos / "a.png", tmp_path / "out", model, PARAMS) == []
    assert colorize(photos / "a.png", tmp_path / "named.png", model, PARAMS) == []
    assert (tmp_path / "named.png").read_bytes() == (tmp_path / "out" / "a.png").read_bytes()


@pytest.mark.parametrize("suffix", [*SUFFIXES_WRITTEN, ".JPG"])
def test_a_named_files_extension_chooses_its_format(
    suffix: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    for number, photo in enumerate(("a.png", "b.jpg")):
        out = tmp_path / f"{number}{suffix}"
        assert colorize(photos / photo, out, model, PARAMS) == []
        kind = sniff(out.read_bytes())
        assert kind is not None
        assert suffix.lower() in kind.suffixes


def test_a_named_files_extension_and_the_format_agree(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    assert colorize(photos / "a.png", tmp_path / "a.jpeg", model, PARAMS, format="jpg") == []
    with pytest.raises(ColorpipeError, match="in the format jpg, but --format says webp"):
        colorize(photos / "a.png", tmp_path / "b.jpeg", model, PARAMS, format="webp")
    assert not (tmp_path / "b.jpeg").exists()


def test_a_single_photo_that_is_no_regular_file_is_not_waited_for(
    model: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (failure,) = colorize(tmp_path / "pipe.jpg", tmp_path / "out", model, PARAMS)
    assert str(failure) == "pipe.jpg: not a regular file"


def test_what_follows_a_dot_but_is_no_photos_extension_stays(model: Path, tmp_path: Path) -> None:
    names = ["scan.0001", "scan.0002"]
    for name in names:
        GRAY.save(tmp_path / name, format="JPEG")
        assert colorize(tmp_path / name, tmp_path / "out", model, PARAMS) == []
        assert colorize(tmp_path / name, tmp_path / "png", model, PARAMS, format="png") == []
    assert sorted(files(tmp_path / "out")) == ["scan.0001.jpg", "scan.0002.jpg"]
    assert sorted(files(tmp_path / "png")) == ["scan.0001.png", "scan.0002.png"]


def test_a_name_as_long_as_they_get_is_no_hindrance(model: Path, tmp_path: Path) -> None:
    name = "\u7167" * 83 + ".jpg"
    GRAY.save(tmp_path / name)
    assert colorize(tmp_path / name, tmp_path / "out", model, PARAMS) == []
    assert list(files(tmp_path / "out")) == [name]


def test_colors_get_no_gray_photos_extension(model: Path, tmp_path: Path) -> None:
    GRAY.save(tmp_path / "a.pgm")
    colorize(tmp_path / "a.pgm", tmp_path / "out", model, PARAMS, format="ppm")
    assert list(files(tmp_path / "out")) == ["a.ppm"]
    with pytest.raises(ColorpipeError, match=r"no format that is written ends in \.pgm"):
        colorize(tmp_path / "a.pgm", tmp_path / "colored.pgm", model, PARAMS)


def test_another_format_and_two_photos_that_would_be_one(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    GRAY.save(photos / "b.png")
    failures = colorize(photos, tmp_path / "out", model, PARAMS, format="webp")
    assert [str(failure) for failure in failures] == [
        "b.png: would be written to the same file as b.jpg; color it into another folder"
    ]
    assert "sub folder/deeper/c.webp" in files(tmp_path / "out")
    with Image.open(tmp_path / "out" / "b.webp") as result:
        assert result.format == "WEBP"


def test_nothing_is_replaced_unless_asked_for(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"precious")
    failures = colorize(photos, out, model, PARAMS)
    assert [failure.what for failure in failures] == ["a.png"]
    assert "--overwrite" in failures[0].reason
    assert (out / "a.png").read_bytes() == b"precious"
    assert colorize(photos, out, model, PARAMS, skip_existing=True) == []
    assert (out / "a.png").read_bytes() == b"precious"
    assert colorize(photos, out, model, PARAMS, overwrite=True) == []
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_link_in_the_place_of_a_result_does_not_lead_to_its_photo(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").symlink_to(photos / "a.png")
    before = files(photos)
    assert colorize(photos, out, model, PARAMS, overwrite=True) == []
    assert files(photos) == before
    assert not (out / "a.png").is_symlink()


def test_a_folder_of_hostile_files(photos: Path, model: Path, tmp_path: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "page.jpg").write_text("<html>404</html>")
    (photos / "cut.jpg").write_bytes((photos / "b.jpg").read_bytes()[:2000])
    head = (100_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    bomb = png.SIGNATURE + png.chunk(b"IHDR", head)
    (photos / "bomb.png").write_bytes(bomb + (photos / "a.png").read_bytes()[33:])
    (photos / "broken link.png").symlink_to("nowhere.png")
    (photos / "self.png").symlink_to("self.png")
    (photos / "sub folder" / "circle").symlink_to(photos)
    os.mkfifo(photos / "pipe.jpg")
    (photos / "folder.jpg").mkdir()
    (photos / ".hidden.png").write_bytes(b"not looked at")
    GRAY.save(photos / ("x" * 251 + ".png"))
    GRAY.save(os.fsencode(photos) + b"/\xff odd.png", format="PNG")
    good = ["a.png", "b.jpg", "sub folder/-dash ü.png", "sub folder/deeper/c.JPEG"]
    report = tmp_path / "report.jsonl"
    failures = colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    reasons = {failure.what: failure.reason for failure in failures}
    assert sorted(reasons) == [
        "bomb.png",
        "broken link.png",
        "cut.jpg",
        "empty.jpg",
        "page.jpg",
        "pipe.jpg",
        "self.png",
        "sub folder/circle",
    ]
    assert "pixels" in reasons["bomb.png"]
    assert "leads nowhere" in reasons["broken link.png"]
    assert "not a regular file" in reasons["pipe.jpg"]
    assert "it lies in" in reasons["sub folder/circle"]
    out = files(tmp_path / "out")
    assert sorted(out) == sorted([*good, "x" * 251 + ".png", os.fsdecode(b"\xff odd.png")])
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert len(rows) == 14
    assert {row["photo"]: row["reason"] for row in rows if row["status"] == "failed"} == reasons
    assert sum(row["status"] == "colorized" for row in rows) == 6
    assert not list((tmp_path / "out").rglob(".writing*"))


@pytest.mark.parametrize("place", ["same", "linked", "file"])
def test_an_out_that_is_the_photos_is_refused(
    place: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(photos)
    before = files(photos)
    source, out = {
        "same": (photos, photos),
        "linked": (photos, tmp_path / "link"),
        "file": (photos / "a.png", photos),
    }[place]
    with pytest.raises(ColorpipeError, match="name another"):
        colorize(source, out, model, PARAMS, overwrite=True)
    assert files(photos) == before


def test_an_out_inside_the_photos_is_not_taken_for_photos(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    out = photos / "colored"
    assert colorize(photos, out, model, PARAMS) == []
    first = files(out)
    assert colorize(photos, out, model, PARAMS, overwrite=True) == []
    assert files(out) == first


def test_an_out_around_the_photos_never_reaches_them(tmp_path: Path) -> None:
    photos = tmp_path / "in"
    (photos / "in").mkdir(parents=True)
    GRAY.save(photos / "in" / "a.png")  # would go to in/a.png
    GRAY.save(photos / "a.png")
    (first, second) = find_jobs(photos, tmp_path, None)
    assert first.target == tmp_path / "a.png"
    assert "among the photos themselves" in second.reason


@pytest.mark.parametrize("linked", ["in", "elsewhere", "colored"])
def test_a_linked_folder_of_out_never_leads_to_the_photos(
    linked: str, model: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    (photos / "sub").mkdir(parents=True)
    if linked == "elsewhere":  # the photos' folder is a link itself
        (photos / "sub").rename(tmp_path / "elsewhere")
        (photos / "sub").symlink_to(tmp_path / "elsewhere")
    elif linked == "colored":
        out = photos / "colored"
    GRAY.save(photos / "a.png")
    GRAY.save(photos / "sub" / "b.png")
    out.mkdir()
    (out / "sub").symlink_to(photos / "sub")
    before = (photos / "sub" / "b.png").read_bytes()
    (failure,) = colorize(photos, out, model, PARAMS, overwrite=True)
    assert failure.what == "sub/b.png"
    assert "among the photos themselves" in failure.reason
    assert (photos / "sub" / "b.png").read_bytes() == before
    assert (out / "a.png").exists()


@pytest.mark.parametrize("place", ["photo", "link", "source", "folder", "below a file"])
def test_a_report_never_takes_the_place_of_a_photo_or_a_folder(
    place: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.jsonl").symlink_to(photos / "a.png")
    scan = photos / "scan.data"
    scan.write_bytes((photos / "a.png").read_bytes())
    before = files(photos)
    source, report = {
        "photo": (photos, photos / "a.png"),
        "link": (photos, tmp_path / "link.jsonl"),
        "source": (scan, scan),
        "folder": (photos, tmp_path),
        "below a file": (photos, scan / "report.jsonl"),
    }[place]
    with pytest.raises(ColorpipeError, match=r"^The report .* name "):
        colorize(source, tmp_path / "out", model, PARAMS, report=report)
    assert files(photos) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["hints.json", "notes.html"])
def test_a_report_takes_the_place_of_an_earlier_one_alone(
    name: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / name
    other.write_text('{"hints": [{"x": 3, "y": 4, "color": "navy"}]}')
    with pytest.raises(ColorpipeError, match=r"^The report .* a file that is no report; name"):
        colorize(photos, tmp_path / "out", model, PARAMS, report=other)
    assert other.read_text().startswith('{"hints')
    assert not (tmp_path / "out").exists()
    other.unlink()
    colorize(photos, tmp_path / "out", model, PARAMS, report=other)
    before = other.read_text("utf-8")
    colorize(photos / "a.png", tmp_path / "again", model, PARAMS, report=other)
    assert other.read_text("utf-8") != before


@pytest.mark.skipif(sys.platform != "linux", reason="no /dev/full")
def test_a_disk_that_fills_while_lines_are_written_is_named(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "report.jsonl").symlink_to("/dev/full")
    sentence = r"^The report .*report\.jsonl could not be written \(No space left on device\); name"
    with pytest.raises(ColorpipeError, match=sentence):
        colorize(photos, tmp_path / "out", model, PARAMS, report=tmp_path / "report.jsonl")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
def test_a_disk_that_fills_while_a_page_is_written_is_named(model: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "small.png")
    report = tmp_path / "report.html"
    refused = pytest.raises(ColorpipeError, match=r"report\.html could not be written")
    # The photo has less, and the page more.
    with files_of_at_most(5_000), refused:
        colorize(tmp_path / "small.png", tmp_path / "out", model, PARAMS, report=report)
    assert not report.exists()


def test_a_report_of_what_was_skipped_goes_on(photos: Path, model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:500])
    GRAY.save(os.fsencode(photos) + b"/\xff odd.png", format="PNG")
    colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    first = report.read_text("utf-8")
    # Killed in the middle of a line, after it had written a photo.
    report.write_text(first + '{"photo": "z.p')
    GRAY.save(photos / "z.png")
    GRAY.save(photos / "broken.png")
    colorize(photos, tmp_path / "out", model, PARAMS, report=report, skip_existing=True)
    text = report.read_text("utf-8")
    assert text.startswith(first)
    added = [json.loads(line) for line in text.removeprefix(first).splitlines()[1:]]
    assert [(row["photo"], row["status"]) for row in added] == [
        ("broken.png", "colorized"),
        ("z.png", "colorized"),
    ]


def test_a_report_that_goes_on_leaves_no_photo_failed_that_has_a_result(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:500])
    colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    # Repaired, and colored by a run of which this report does not know.
    GRAY.save(photos / "broken.png")
    colorize(photos, tmp_path / "out", model, PARAMS, skip_existing=True)
    colorize(photos, tmp_path / "out", model, PARAMS, report=report, skip_existing=True)
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    of_it = [row["status"] for row in rows if row["photo"] == "broken.png"]
    assert of_it == ["failed", "skipped"]
    assert [row["status"] for row in rows].count("skipped") == 1


@pytest.mark.parametrize("out", ["out", "named.png"])
def test_the_report_names_what_was_written(
    out: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    colorize(photos / "a.png", tmp_path / out, model, PARAMS, report=report)
    (row,) = (json.loads(line) for line in report.read_text("utf-8").splitlines())
    named = "named.png" if out == "named.png" else "a.png"
    assert row == {"photo": "a.png", "status": "colorized", "output": named}


def test_a_report_in_html_is_a_page_with_a_gallery(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:500])
    GRAY.save(photos / "new.jp2")
    GRAY.save(os.fsencode(photos) + b"/\xff odd.png", format="PNG")
    report = tmp_path / "pages" / "report.html"
    colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    with browser.opened(report) as page:
        text = page.locator("main").inner_text()
        assert "7 files: 6 colorized, 1 failed." in text
        assert "recipe colorpipe" in text
        assert page.get_by_role("row").nth(1).inner_text().startswith("broken.png")
        assert page.locator(".photo").count() == 6
        page.locator("select[name=category]").select_option("sub folder/deeper")
        assert (
            page.locator(".photo:visible").get_attribute("data-name") == "sub folder/deeper/c.JPEG"
        )
    once_more = tmp_path / "again.HTML"
    colorize(photos, tmp_path / "out", model, PARAMS, report=once_more, skip_existing=True)
    assert "7 files: 6 skipped, 1 failed." in once_more.read_text("utf-8")


def test_a_page_that_cannot_be_written_is_noticed_before_any_work(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    report = tmp_path / "file" / "report.html"
    with pytest.raises(ColorpipeError, match=r"^The report .* could not be written"):
        colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_done_is_told_in_a_sentence(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    cases = [
        ({"source": tmp_path / "none"}, "There is no"),
        (
            {"source": tmp_path / "empty"},
            r"no photos in .*: no name there ends in \.apng, \.avif, \.bmp",
        ),
        ({"out": photos / "a.png"}, "is a file"),
        ({"source": photos / "a.png", "out": photos / "notes.txt"}, "notes.txt is a file that"),
        ({"overwrite": True, "skip_existing": True}, "exclude each other"),
        ({"format": "psd"}, "must be one of"),
        ({"model": tmp_path / "none"}, "no model"),
    ]
    for changed, sentence in cases:
        arguments = {"source": photos, "out": tmp_path / "out", "model": model, **changed}
        with pytest.raises(ColorpipeError, match=sentence):
            colorize(params=PARAMS, **arguments)
    assert not (tmp_path / "out").exists()


def test_an_out_that_cannot_be_made_is_refused_before_any_work(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("in the way")
    link.symlink_to("nowhere")
    for source in (photos, photos / "a.png"):
        for out, obstacle in ((file / "out", file), (link, link), (link / "out", link)):
            with pytest.raises(ColorpipeError, match=f"because {obstacle} is no folder"):
                colorize(source, out, model, PARAMS)
    with pytest.raises(ColorpipeError, match="name another place with the argument OUT"):
        colorize(photos / "a.png", file / "a.png", model, PARAMS)


def test_a_folder_that_may_not_be_written_to_fails_photo_by_photo(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub folder").write_text("in the way")
    failures = colorize(photos, out, model, PARAMS)
    assert [failure.what for failure in failures] == [
        "sub folder/-dash ü.png",
        "sub folder/deeper/c.JPEG",
    ]
    assert sorted(files(out)) == ["a.png", "b.jpg", "sub folder"]


def test_files_of_other_kinds_are_counted_once_and_named(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.psd", "b.psd", "sub folder/c.cr2", ".hidden", "sub folder/README"):
        (photos / name).write_bytes(b"not read")
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    told = "Files of other kinds that are left out: 5 (.cr2, .psd, .txt, no extension).\n"
    assert capsys.readouterr().err.count(told) == 1
    assert colorize(photos / "sub folder" / "deeper", tmp_path / "2", model, PARAMS) == []
    assert "other kinds" not in capsys.readouterr().err


def test_stopped_it_ends_what_is_under_way_and_the_report_has_all_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    photos.mkdir()
    for number in range(60):
        GRAY.save(photos / f"{number:02}.png")

    once = threading.Lock()

    class Stopping(Rainbow):
        def predict(self, grays: NDArray[np.uint8]) -> Float:
            if once.acquire(blocking=False):
                os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.05)  # else all may be done before a busy machine hands over the signal
            return super().predict(grays)

    monkeypatch.setattr(Colorizer, "load", lambda *_, **__: Colorizer(Stopping()))
    with pytest.raises(StoppedError, match=r"Stopped after \d+ of 60 photos; .*--skip-existing"):
        colorize(photos, out, None, PARAMS, report=report)
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert 0 < len(rows) < 60
    assert [row["output"] for row in rows] == list(files(out))


def test_stopped_in_a_film_the_page_has_what_was_done_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, report = tmp_path / "in", tmp_path / "report.html"
    photos.mkdir()
    GRAY.save(photos / "a.png")
    films.write_film(photos / "walk.mkv", times=range(0, 8000, 40))

    class Stopping(Rainbow):
        calls = 0

        def predict(self, grays: NDArray[np.uint8]) -> Float:
            self.calls += 1
            if self.calls == 3:
                os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.02)
            return super().predict(grays)

    monkeypatch.setattr(Colorizer, "load", lambda *_, **__: Colorizer(Stopping()))
    with pytest.raises(StoppedError, match=r"Stopped in walk\.mkv at 0:00:0\d.* continues it"):
        colorize(photos, tmp_path / "out", None, PARAMS, report=report)
    assert "1 file: 1 colorized" in report.read_text("utf-8")


def test_killed_and_started_again_it_ends_with_the_same_folder(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    for number in range(24):
        width = (200, 130)[number % 2]
        GRAY.crop((0, 0, width, 160)).rotate(number).save(photos / f"{number:03}.jpg")
    colorize(photos, tmp_path / "whole", model, PARAMS)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipeline", "colorize", str(photos), str(out)]
    options = ["--model", str(model), "--strength", "1.5", "--device", "cpu"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    watcher = threading.Timer(120, process.kill)  # in case nothing ever comes
    watcher.start()
    while process.poll() is None and len(list(out.glob("*.jpg"))) < 3:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    watcher.cancel()
    whole = files(tmp_path / "whole")
    cut = {name: data for name, data in files(out).items() if not name.startswith(".")}
    assert cut
    assert cut.items() <= whole.items()
    assert colorize(photos, out, model, PARAMS, skip_existing=True) == []
    assert files(out) == whole


def rows_of(report: Path) -> dict[str, dict[str, str]]:
    rows = (json.loads(line) for line in report.read_text("utf-8").splitlines())
    return {row["photo"]: row for row in rows}


@pytest.mark.parametrize("keep", [False, True])
def test_a_name_that_lies_is_told_and_corrected(keep: bool, model: Path, tmp_path: Path) -> None:
    photos, report = tmp_path / "in", tmp_path / "report.jsonl"
    photos.mkdir()
    GRAY.save(photos / "scan.png", "JPEG")
    GRAY.save(photos / "true.jpeg")
    colorize(photos, tmp_path / "out", model, PARAMS, report=report, keep_names=keep)
    row = rows_of(report)["scan.png"]
    name = "scan.png" if keep else "scan.jpg"
    assert (row["output"], row["note"]) == (name, "named like PNG, but its content is JPEG")
    assert sorted(files(tmp_path / "out")) == [name, "true.jpeg"]
    assert files(tmp_path / "out")[name].startswith(b"\xff\xd8")
    again = tmp_path / "again.jsonl"
    options = {"report": again, "keep_names": keep, "skip_existing": True}
    assert colorize(photos, tmp_path / "out", model, PARAMS, **options) == []
    assert {row["status"] for row in rows_of(again).values()} == {"skipped"}


def test_a_corrected_name_takes_no_other_photos_place(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    GRAY.save(photos / "a.png", "JPEG")
    GRAY.rotate(90).save(photos / "a.jpg")
    (failure,) = colorize(photos, tmp_path / "out", model, PARAMS)
    assert str(failure) == "a.png: would be written to a.jpg, as another photo is"
    assert list(files(tmp_path / "out")) == ["a.jpg"]


def test_zeroed_bytes_in_a_jpeg_are_told_although_it_is_colorized(
    model: Path, tmp_path: Path
) -> None:
    photos, report = tmp_path / "in", tmp_path / "report.jsonl"
    photos.mkdir()
    GRAY.save(photos / "whole.jpg")
    data = bytearray((photos / "whole.jpg").read_bytes())
    data[1000:1400] = bytes(400)
    (photos / "zeroed.jpg").write_bytes(data)
    (failure,) = colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    assert failure.what == "zeroed.jpg"
    assert failure.reason.startswith("colorized, but damaged (Corrupt JPEG data")
    assert list(files(tmp_path / "out")) == ["whole.jpg", "zeroed.jpg"]
    row = rows_of(report)["zeroed.jpg"]
    assert (row["status"], row["output"]) == ("damaged", "zeroed.jpg")
    assert row["reason"].startswith("damaged (Corrupt JPEG data")


def test_what_a_desktop_or_a_nas_leaves_behind_is_passed_over(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("@eaDir", "#recycle", ".thumbnails", "Catalog.lrdata"):
        (photos / name).mkdir()
        GRAY.save(photos / name / "thumbnail.jpg")
    GRAY.save(photos / "._a.png")
    for name in ("Thumbs.db", ".DS_Store"):
        (photos / name).write_bytes(b"a program's own")
    (photos / "notes.txt").unlink()
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    assert not [name for name in files(tmp_path / "out") if "thumb" in name or "._" in name]
    told = "Files of other kinds that are left out: 4 (#recycle, @eaDir, Catalog.lrdata, Thumbs.db)"
    assert told in capsys.readouterr().err


def test_a_label_names_the_model_and_where_there_is_no_place_it_is_said(
    model: Path, tmp_path: Path
) -> None:
    photos, report = tmp_path / "in", tmp_path / "report.jsonl"
    photos.mkdir()
    GRAY.save(photos / "a.jpg")
    GRAY.save(photos / "b.bmp")
    GRAY.save(photos / "c.j2k")
    colorize(photos, tmp_path / "plain", model, PARAMS)
    colorize(photos, tmp_path / "out", model, PARAMS, report=report, label=True)
    with Image.open(tmp_path / "plain/a.jpg") as plain, Image.open(tmp_path / "out/a.jpg") as made:
        assert np.array_equal(np.asarray(plain), np.asarray(made))
        digest = hashlib.sha256(model.read_bytes()).hexdigest().encode()
        assert digest in made.info["xmp"]
        assert b"compositeWithTrainedAlgorithmicMedia" in made.info["xmp"]
        assert digest.decode() in made.getexif()[11]
    rows = rows_of(report)
    assert rows["b.bmp"]["note"] == "without the label, which BMP cannot hold"
    # A codestream has no boxes, and JP2 has.
    assert rows["c.j2k"]["note"] == "without the label, which a file like this one cannot hold"
    colorize(photos / "a.jpg", tmp_path / "a.jp2", model, PARAMS, report=report, label=True)
    assert "note" not in rows_of(report)["a.jpg"]


def test_no_librarys_warning_reaches_the_terminal(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    stream = io.BytesIO()
    rgb = np.dstack([np.asarray(GRAY)] * 3)
    tifffile.imwrite(stream, rgb, photometric="rgb", compression="webp", metadata=None)
    (photos / "webp.tif").write_bytes(stream.getvalue())
    tags = [(33723, 4, 2, b"12345678", True)]
    tifffile.imwrite(photos / "odd.tif", rgb, photometric="rgb", extratags=tags)
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("Colorizing with")
    assert said[1].startswith("Colorizing: 2 of 2 photos")


class OtherWeights(LocalEngine):
    """As another machine, which has another file of weights under the same path, or none."""

    is_remote = True

    def __init__(self, weights: Path, content: bytes | None) -> None:
        self.weights, self.content = weights, content

    def holding(self, load: Callable[[], S], device: str = "cpu") -> HoldingProcess[S]:
        self.weights.unlink()
        if self.content is not None:
            self.weights.write_bytes(self.content)
        return super().holding(load, device)


@pytest.mark.parametrize(
    ("same", "said"),
    [(True, ""), (False, "has other weights at {}"), (None, "could not read the weights {}: ")],
)
def test_a_machine_with_other_weights_colors_nothing(
    same: bool | None, said: str, photos: Path, model: Path, tmp_path: Path
) -> None:
    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    own.write_bytes(model.read_bytes())
    stand_ins.generator(other, cast=0.2)
    content = None if same is None else (own if same else other).read_bytes()
    expected = (
        contextlib.nullcontext()
        if same
        else pytest.raises(ColorpipeError, match=f"machine .* {said.format(own)}")
    )
    with expected:
        colorize(photos, tmp_path / "out", own, PARAMS, engine=OtherWeights(own, content))
    assert (tmp_path / "out").exists() == bool(same)


def test_hints_are_found_beside_a_photo_or_given(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    GRAY.save(photos / "a.png")
    colorize(photos, tmp_path / "without", model, PARAMS)
    hint = Hint(30, 40, "#803030")
    (photos / "a.png.hints.json").write_text(as_json([hint]))
    assert colorize(photos, tmp_path / "beside", model, PARAMS) == []
    assert colorize(photos / "a.png", tmp_path / "alone", model, PARAMS) == []
    other = Hint(30, 40, "#305080")
    assert colorize(photos / "a.png", tmp_path / "given", model, PARAMS, hints=[other]) == []
    found = {
        name: files(tmp_path / name)["a.png"] for name in ("without", "beside", "alone", "given")
    }
    assert found["beside"] == found["alone"]
    assert len({*found.values()}) == 3
    with pytest.raises(ColorpipeError, match=r"is a folder; put a file such as photo\.jpg\.hints"):
        colorize(photos, tmp_path / "out", model, PARAMS, hints=[hint])
    with pytest.raises(ColorpipeError, match=r"are for photos, and .* is a film"):
        colorize(tmp_path / "film.mp4", tmp_path / "out", model, PARAMS, hints=[hint])


def test_a_reference_photo_that_cannot_be_one_is_refused(model: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    GRAY.save(photo)
    with pytest.raises(ColorpipeError, match="There is no reference photo"):
        colorize(photo, tmp_path / "out", model, PARAMS, reference=tmp_path / "missing.jpg")
    (tmp_path / "no.jpg").write_text("no photo")
    with pytest.raises(ColorpipeError, match=r"no\.jpg cannot be used: .*; name another one"):
        colorize(photo, tmp_path / "out", model, PARAMS, reference=tmp_path / "no.jpg")
    with pytest.raises(ColorpipeError, match="is a folder; name one color photo"):
        colorize(photo, tmp_path / "out", model, PARAMS, reference=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_reference_photo_gives_its_colors(tmp_path: Path) -> None:
    coffee = Image.fromarray(skimage.data.coffee()[:384, :384])
    coffee.convert("L").save(tmp_path / "a.png")
    coffee.save(tmp_path / "reference.png")
    weights = pretrained_weights()
    colorize(tmp_path / "a.png", tmp_path / "plain", weights, ColorizeParams(device="cpu"))
    colorize(
        tmp_path / "a.png",
        tmp_path / "by",
        weights,
        ColorizeParams(device="cpu"),
        reference=tmp_path / "reference.png",
    )
    plain, by = (Image.open(tmp_path / name / "a.png") for name in ("plain", "by"))
    assert compare(by, coffee).ciede2000 < compare(plain, coffee).ciede2000 - 1


# Films


def test_photos_and_films_of_a_folder_are_colorized(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films.write_film(photos / "sub folder" / "walk.mkv", times=range(0, 240, 40))
    films.write_film(photos / "Talk.MPG", codec="mpeg2video", times=range(0, 240, 40))
    (photos / "broken.mp4").write_bytes(b"no film")
    report = tmp_path / "report.jsonl"
    (failure,) = colorize(photos, tmp_path / "out", model, PARAMS, report=report)
    assert str(failure) == "broken.mp4: not a film that FFmpeg can read"
    written = set(files(tmp_path / "out"))
    assert written >= {"a.png", "sub folder/walk.mkv", "Talk.mkv"}
    assert not any(name.startswith(".") or "broken" in name for name in written)
    (frame, *_) = films.frames_of(tmp_path / "out" / "sub folder" / "walk.mkv")
    assert (films.planes_of(frame)[1] != 128).any()
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert {"film": "Talk.MPG", "status": "colorized", "output": "Talk.mkv"} in rows
    assert "Colorizing Talk.MPG: 6 of" in capsys.readouterr().err
    again = colorize(photos, tmp_path / "out", model, PARAMS, skip_existing=True)
    assert [str(failure)] == [str(each) for each in again]
    assert len(colorize(photos, tmp_path / "out", model, PARAMS)) == 7


def test_a_single_film_goes_into_a_folder_or_to_a_file(model: Path, tmp_path: Path) -> None:
    film = films.write_film(tmp_path / "walk.mkv", times=range(0, 240, 40))
    assert colorize(film, tmp_path / "out", model, PARAMS) == []
    assert colorize(film, tmp_path / "named.mp4", model, PARAMS) == []
    assert films.times_of(tmp_path / "named.mp4") == films.times_of(tmp_path / "out" / "walk.mkv")
    again = FilmSettings(duration=0.1)
    named = tmp_path / "named.mp4"
    assert colorize(film, named, model, PARAMS, overwrite=True, films=again, label=True) == []
    assert len(films.times_of(named)) == 3
    with av.open(str(named)) as made:
        assert "the colors are a guess" in made.metadata["comment"]
        assert hashlib.sha256(model.read_bytes()).hexdigest() in made.metadata["comment"]


def test_what_a_film_lost_is_printed_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = films.write_film(tmp_path / "walk.mkv", sound="pcm_s16be", times=range(0, 240, 40))
    codec = FilmSettings(Encoding(codec="libvpx-vp9"))
    assert colorize(film, tmp_path / "walk.webm", model, PARAMS, films=codec) == []
    printed = capsys.readouterr().err
    assert printed.count("\nwalk.mkv: WebM does not hold: stream 1, audio (pcm_s16be).\n") == 1


@pytest.mark.parametrize(
    ("source", "out", "sentence"),
    [
        ("walk.mkv", "walk.png", "not named like a film that is written"),
        ("walk.mkv", "walk.wmv", "not named like a film that is written"),
        ("a.png", "a.mp4", "is named like a film, but"),
        ("walk.mkv", "walk.mkv", "is the film itself"),
    ],
)
def test_films_and_photos_are_not_mixed_up(
    source: str, out: str, sentence: str, photos: Path, model: Path
) -> None:
    film = films.write_film(photos / "walk.mkv", times=range(0, 80, 40))
    content = film.read_bytes()
    with pytest.raises(ColorpipeError, match=sentence):
        colorize(photos / source, photos / out, model, PARAMS, overwrite=True)
    assert film.read_bytes() == content


def test_a_film_whose_process_is_killed_has_failed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films.write_film(tmp_path / "walk.mkv", times=range(0, 240, 40))
    monkeypatch.setattr("stages.colorize.film_outcomes", Killed())
    (failure,) = colorize(film, tmp_path / "out", model, PARAMS)
    assert failure.reason == KILLED
    assert files(tmp_path / "out") == {}


class Killed:
    """What crashes the process that it runs in."""

    def __call__(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
