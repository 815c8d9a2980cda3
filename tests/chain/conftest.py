"""One small chain, run once and shared by every test that looks at it or starts from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from scratch import Scratch, check_out


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """The project as a user checks it out; tests only look at it."""
    return check_out(tmp_path_factory.mktemp("project") / "colorpipe")


@pytest.fixture(scope="session")
def built(project: Scratch, tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """The embedded default at a size that takes seconds, rebuilt and committed; only looked at."""
    scratch = project.copy(tmp_path_factory.mktemp("built") / "colorpipe")
    scratch.set_params("resize", size=64)
    # One epoch of regression; an experiment with two has an adversarial one too. The last is kept,
    # so that their weights differ: the best of both may be the weights that they start from.
    options = {"adversarial_share": 0.5}
    scratch.set_params("train", epochs=1, size=64, batch_size=32, options=options, keep="last")
    scratch.set_params("evaluate", gallery=2, recognition=False)
    scratch.repro()
    scratch.commit("Rebuilt")
    return scratch


@pytest.fixture
def chain(built: Scratch, tmp_path: Path) -> Scratch:
    """A copy of the rebuilt project, to change."""
    return built.copy(tmp_path / "colorpipe")
