"""Curves to follow a run by: all epochs, each once, whatever happened to the run before."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dvclive.live import Live

from pipeline.errors import ColorpipeError
from pipeline.training.live_curves import LiveCurves

LOSSES = [{"epoch": 1.0, "generator": 0.5, "l1": 0.5}, {"epoch": 2.0, "generator": 0.25, "l1": 0.2}]
VALIDATION = [{"epoch": float(epoch), "ciede2000": 9.0 - epoch} for epoch in range(3)]


def table(folder: Path, name: str) -> list[list[str]]:
    path = folder / "plots" / "metrics" / f"{name}.tsv"
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_epoch_is_logged_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveCurves(tmp_path / "live") as curves:
        curves.update([], VALIDATION[:1])
        curves.update(LOSSES[:1], VALIDATION[:2])
        assert table(curves.folder, "train/generator") == [["step", "generator"], ["1", "0.5"]]
        curves.update(LOSSES, VALIDATION)
    steps = [row[0] for row in table(curves.folder, "validation/ciede2000")]
    assert steps == ["step", "0", "1", "2"]
    assert table(curves.folder, "train/l1")[1:] == [["1", "0.5"], ["2", "0.2"]]
    report = curves.folder / "report.html"
    assert str(report) in capsys.readouterr().out
    assert "ciede2000" in report.read_text(encoding="utf-8")


def test_a_resumed_run_is_logged_anew(tmp_path: Path) -> None:
    with LiveCurves(tmp_path) as killed:
        killed.update(LOSSES, VALIDATION)
    # The checkpoint was that of the first epoch.
    with LiveCurves(tmp_path) as resumed:
        resumed.update(LOSSES[:1], VALIDATION[:2])
        resumed.update(LOSSES, VALIDATION)
    assert [row[0] for row in table(tmp_path, "train/generator")] == ["step", "1", "2"]


def test_a_repository_needs_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    # As in a stage.
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
    assert [row[0] for row in table(tmp_path / "live", "train/generator")] == ["step", "1", "2"]
    said, warned = capfd.readouterr()
    page = tmp_path / "live/report.html"
    assert said.startswith(f"Live curves are in {page}; ")
    assert ("a network" in said) == ("https://" in page.read_text())
    assert warned == ""


def test_a_run_goes_on_where_there_is_no_folder_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "live").write_text("a file in the place of the folder")
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
    said = capsys.readouterr().out
    assert said.startswith(f"There are no live curves: {tmp_path / 'live'} cannot be written to")


def test_a_run_goes_on_where_they_can_be_written_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES[:1], VALIDATION[:1])
        shutil.rmtree(curves.folder)
        curves.folder.write_text("a file in the place of the folder")
        curves.update(LOSSES, VALIDATION)
        curves.update(LOSSES, VALIDATION)
    assert capsys.readouterr().out.count("There are no live curves: ") == 1


def test_they_take_no_other_error_s_place(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="diverged"), LiveCurves(tmp_path / "live") as curves:
        shutil.rmtree(curves.folder)
        curves.folder.write_text("a file in the place of the folder")
        raise ColorpipeError("Training has diverged.")


def test_no_other_error_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(live: Live) -> None:
        raise RuntimeError("not of the disk")

    monkeypatch.setattr(Live, "_init_cleanup", fail)
    with pytest.raises(RuntimeError, match="not of the disk"), LiveCurves(tmp_path / "live"):
        pass


@pytest.mark.parametrize("repository", [True, False])
def test_nothing_is_added_to_the_project(
    repository: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if repository:
        # Git's alone: DVCLive would make it one of DVC's, too.
        subprocess.run(["git", "init", "--quiet"], check=True)
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
    assert {path.name for path in tmp_path.iterdir()} - {".git"} == {"live"}


def test_no_thread_stays(tmp_path: Path) -> None:
    # With one, the engines spawn processes where they would fork.
    before = threading.active_count()
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
        assert threading.active_count() == before


def test_nothing_is_sent_to_dvc_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        "dvclive.studio.post_live_metrics", lambda event, *_, **__: sent.append(event)
    )
    monkeypatch.setenv("DVC_STUDIO_TOKEN", "a token")
    monkeypatch.setenv("DVC_STUDIO_REPO_URL", "https://example.org/project")
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
    assert sent == []


def test_without_dvclive_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "dvclive", raising=False)
    with LiveCurves(tmp_path / "live") as curves:
        curves.update(LOSSES, VALIDATION)
    assert list(tmp_path.iterdir()) == []
