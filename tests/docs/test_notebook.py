"""The notebook in docs/ runs, and shows what it says."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from scratch import PROJECT

NOTEBOOK = PROJECT / "docs/notebook.ipynb"


def outputs(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """What each cell of code gave: the kinds of its data, or the name of its stream."""
    return [
        # On a busy machine a stream comes in pieces.
        list(
            dict.fromkeys(
                kind
                for output in cell.outputs
                for kind in sorted(output.get("data", [output.get("name")]))
            )
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_the_notebook_runs_and_shows_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    kept = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": os.fspath(tmp_path)}}
    NotebookClient(fresh, timeout=300, kernel_name="python3", resources=resources).execute()
    picture = ["text/html", "text/plain"]
    assert outputs(fresh) == [picture, picture, ["stdout"], ["text/plain"]]
    assert outputs(kept) == outputs(fresh)


def test_the_notebook_is_small() -> None:
    assert NOTEBOOK.stat().st_size < 100_000
