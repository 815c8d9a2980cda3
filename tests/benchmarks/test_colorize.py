"""The benchmark of the colorizer, where it can be run without its large photos."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "colorize.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_where_nothing_was_trained_it_measures_with_the_weights_that_ship(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", (90, 60), 128).save(tmp_path / "in" / "a.jpg")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--peak-of", tmp_path / "in"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdigit()
