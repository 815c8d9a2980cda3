"""The library's public face."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import colorpipe
import pipeline

PROJECT = Path(pipeline.__file__).parents[1]


def test_a_picture_is_colored_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo = Image.fromarray(data.astronaut())
    gray = photo.convert("L")
    colored = colorpipe.Colorizer.load(device="cpu")(gray)
    assert np.array_equal(colored.convert("L"), gray)
    assert colorpipe.compare(colored, photo).ciede2000 < colorpipe.compare(gray, photo).ciede2000


def test_errors_can_be_caught_by_name() -> None:
    with pytest.raises(colorpipe.ColorpipeError, match="missing"):
        colorpipe.Colorizer.load("missing.safetensors")


def test_every_public_name_is_there_with_its_documentation() -> None:
    for name in colorpipe.__all__:
        assert getattr(colorpipe, name).__doc__
    assert colorpipe.__version__ == pipeline.__version__


def test_importing_it_does_not_import_heavy_packages() -> None:
    code = (
        "import sys, colorpipe\n"
        "heavy = {'torch', 'skimage', 'scipy', 'typer', 'dvc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
    )
