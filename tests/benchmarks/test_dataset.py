"""The benchmark of the data set, at a size that takes seconds."""

from __future__ import annotations

from pathlib import Path

import dataset
import pytest
from photos import scene
from PIL import Image


def test_both_ways_are_measured_at_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, work = tmp_path / "photos", tmp_path / "work"
    source.mkdir()
    work.mkdir()
    for seed in range(130):
        Image.fromarray(scene(seed, 80, 80)).save(source / f"{seed:03}.jpg", quality=95)
    monkeypatch.setattr(dataset, "MEGAPIXELS_12", (400, 300))
    arguments = ["--photos", "130", "--large", "15", "--rounds", "2", "--folder", str(work)]
    monkeypatch.setattr("sys.argv", ["dataset.py", "--source", str(source), *arguments])
    monkeypatch.chdir(tmp_path)
    dataset.main()
    printed = capsys.readouterr().out
    assert f"working in {work}" in printed
    assert "small: 130 photos" in printed
    assert "12 MP: 15 photos" in printed
    assert printed.count("median ratio") == 2
    assert not list(work.iterdir())


def test_memory_is_the_place_where_there_is_room_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MEMORY", tmp_path)
    monkeypatch.setattr(dataset, "ROOM", 1)
    assert dataset.scratch() == tmp_path
    monkeypatch.setattr(dataset, "ROOM", 1 << 62)
    assert dataset.scratch() != tmp_path
    monkeypatch.setattr(dataset, "MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(dataset, "ROOM", 1)
    assert dataset.scratch() != tmp_path
