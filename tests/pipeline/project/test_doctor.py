"""What the doctor finds, and what it misses."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.project.doctor import examine, missing_by_extra


@pytest.fixture(autouse=True)
def requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the package says of itself; an editable installation may be older than the code."""
    of_extras = {
        "dev": "pytest>=8.2",
        "dvc": "dvc>=3.60",
        "formats": "pillow-heif>=0.18",
        "train": "accelerate>=1.0",
    }
    said = ["numpy>=2.0", *(f"{name}; extra == '{extra}'" for extra, name in of_extras.items())]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: said)


def test_it_finds_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {finding.what: finding for finding in examine()}
    assert found["colorpipe"].found.startswith(__version__)
    assert found["device"].found.split()[0] in {"cpu", "cuda", "mps"}
    assert found["model"].found.endswith("colorpipe.safetensors")
    assert found["extra train"].found == "installed"
    assert {"JPEG", "HEIC"} <= set(found["formats"].found.split(", "))
    assert "colorpipe init" in found["project"].found


def test_it_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_some(name: str) -> str:
        if name in {"pillow-heif", "dvc"}:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_some)
    missing = missing_by_extra()
    assert missing["dvc"] == ["dvc"]
    assert missing["formats"] == ["pillow-heif"]
    assert missing["train"] == []
    assert not {"all", "dev"} & missing.keys()
    found = {finding.what: finding for finding in examine()}
    assert not found["extra dvc"].good
    assert "pip install 'colorpipe[dvc]'" in found["extra dvc"].found
    assert "HEIC" in found["not readable here"].found
