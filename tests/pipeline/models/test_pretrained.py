"""The pretrained weights: in git, in the wheel, and found in both."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from scratch import PROJECT

from pipeline.errors import ColorpipeError
from pipeline.models import pretrained
from pipeline.models.pretrained import RECIPE, pretrained_weights
from pipeline.models.weights import load_generator
from pipeline.params import read_params
from pipeline.training.plan import recipe_of

WEIGHTS = PROJECT / "models/colorpipe.safetensors"
PARAMS = PROJECT / "models/colorpipe.yaml"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the module in an installed package, without weights so far."""
    folder = tmp_path / "site-packages" / "pipeline" / "models"
    folder.mkdir(parents=True)
    monkeypatch.setattr(pretrained, "__file__", str(folder / "pretrained.py"))
    return folder


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def test_a_checkout_has_them_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pretrained_weights() == WEIGHTS


def test_an_installed_package_has_them_inside(package: Path) -> None:
    outside = put(package.parents[1] / "models/colorpipe.safetensors")
    assert pretrained_weights() == outside
    inside = put(package / "colorpipe.safetensors")
    assert pretrained_weights() == inside


def test_missing_weights_are_a_sentence_with_what_to_do(package: Path) -> None:
    with pytest.raises(
        ColorpipeError, match=r"missing \(.*colorpipe\.safetensors\); install colorpipe again"
    ):
        pretrained_weights()


def test_the_wheel_puts_them_where_they_are_looked_for() -> None:
    # By hand: tomllib came with Python 3.11.
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.hatch.build.targets.wheel.force-include]\n")[2]
    places = dict(re.findall(r'^"(.+)" = "(.+)"$', section.partition("\n\n")[0], re.MULTILINE))
    weights = WEIGHTS.relative_to(PROJECT)
    assert Path(places[weights.as_posix()]) == Path("pipeline") / weights


@pytest.mark.parametrize("name", ["colorpipe.safetensors", "colorpipe.yaml", "README.md"])
def test_git_has_pretrained_weights_and_no_others(name: str) -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", f"models/{name}", "models/generator.safetensors"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ignored.stdout.split() == ["models/generator.safetensors"]


def test_they_are_small_and_of_the_recipe_named() -> None:
    assert WEIGHTS.stat().st_size <= 16_000_000
    generator = load_generator(WEIGHTS)
    assert generator.recipe.name == RECIPE
    assert sum(weight.numel() for weight in generator.module.parameters()) <= 8_000_000


def test_their_settings_are_those_of_the_parameters_beside_them() -> None:
    params = read_params(PARAMS, required=True).train
    assert params.recipe == RECIPE
    asked = recipe_of(params).options()
    settings = load_generator(WEIGHTS).header["settings"]
    assert {key: asked[key] for key in settings} == settings
