"""The comparison's own DVC project: kept apart from the chain, and rebuilt by one command."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from imports import rooms
from photos import real_photos
from scratch import PROJECT, Scratch

STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((PROJECT / "comparison/dvc.yaml").read_text())[
        "stages"
    ].items()
}
MODULES = {
    "split": "comparison/photos.py",
    "train": "comparison/training.py",
    "evaluate": "comparison/evaluation.py",
    "evaluate-given": "comparison/evaluation.py",
    "table": "comparison/table.py",
}
UNET = {"options": {"halvings": 5, "width": 4}}


def code(stage: str) -> list[Path]:
    """The code that a stage depends on; unet stands for the recipe of a run."""
    names = (name.replace("${item.recipe}", "unet") for name in STAGES[stage]["deps"])
    return [Path(name.removeprefix("code/")) for name in names if name.startswith("code/")]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_rooms_that_it_imports(stage: str) -> None:
    found = {path.parts[1] for path in code(stage) if path.parts[0] == "pipeline"}
    assert found - {"params.py"} == rooms(Path(MODULES[stage]))
    assert all((PROJECT / path).exists() for path in code(stage))


def test_a_run_depends_on_its_own_recipe_only() -> None:
    recipes = {path for path in code("train") if "recipes" in path.parts}
    assert recipes == {Path("pipeline/recipes/unet.py"), Path("pipeline/recipes/shared")}


def test_links_bring_the_code_inside_the_project() -> None:
    for name in ("pipeline", "stages"):
        link = PROJECT / "comparison/code" / name
        assert link.is_symlink()
        assert link.resolve() == (PROJECT / name).resolve()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_this_checkout_s_code(stage: str) -> None:
    step = stage.removesuffix("-given")
    assert STAGES[stage]["cmd"].startswith(f"cd .. && python -m comparison {step}")


def test_the_chain_s_commands_leave_it_alone(project: Scratch) -> None:
    listed = project.dvc("stage", "list", "--all", "--name-only").split()
    assert listed == list(yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"])
    assert not [name for name in project.changed() if "comparison" in name]


@pytest.fixture
def compared(project: Scratch, tmp_path: Path) -> Scratch:
    """A checkout whose comparison is of two slim networks on a dozen photos."""
    scratch = project.copy(tmp_path / "colorpipe")
    for index, photo in enumerate(real_photos(16)):
        category = tmp_path / "photos" / ("even" if index % 2 else "odd")
        category.mkdir(parents=True, exist_ok=True)
        (category / f"{index}{photo.suffix}").write_bytes(photo.read_bytes())
    settings = scratch.path("comparison/params.yaml")
    content = yaml.safe_load(settings.read_text())
    content["scrape"] |= {"path": "../../photos", "limit": None}
    content["resize"]["size"] = 64
    content["split"] = {"test_per_category": 2, "val_fraction": 0}
    content["budget"] = {"unit": "images", "amount": 8}
    content["train"] |= {"batch_size": 4, "size": 32}
    content["runs"] = {
        "unet": {"recipe": "unet", **UNET},
        "slim": {"recipe": "pix2pix", **UNET},
    }
    content["given"] = {}
    content["evaluate"] |= {"gallery": 2, "resamples": 100, "recognition": False}
    content["questions"] = [{"text": "Is one better?", "better": "slim", "than": "unet"}]
    settings.write_text(yaml.safe_dump(content, sort_keys=False))
    scratch.path("comparison/speeds.json").write_text('{"unet": 1.0, "slim": 1.0}')
    return scratch


def repro(scratch: Scratch) -> list[str]:
    output = scratch.dvc("--cd", "comparison", "repro")
    return re.findall(r"^Running stage '(.+)'", output, flags=re.MULTILINE)


def test_one_command_rebuilds_it_and_git_gets_no_photos(compared: Scratch) -> None:
    # Runs may be trained in any order.
    ran = repro(compared)
    runs = {f"{step}@{run}" for step in ("train", "evaluate") for run in ("unet", "slim")}
    assert (ran[0], {*ran[1:-1]}, ran[-1]) == ("split", runs, "table")
    with compared.path("comparison/table.csv").open() as stream:
        assert [row["run"] for row in csv.DictReader(stream)] == ["unet", "slim", "gray"]
    changed = {line.split()[-1] for line in compared.git("status", "--porcelain").splitlines()}
    kept = {"dvc.lock", "params.yaml", "speeds.json", "results.md", "table.csv"}
    folders = ("costs/", "curves/", "pictures/", "rows/")
    for name in changed:
        inside = name.removeprefix("comparison/")
        assert inside in kept or inside.startswith(folders), name
    assert "comparison/params.yaml" in changed
    assert not [name for name in compared.changed() if "comparison" in name]
    assert repro(compared) == []
    byte_code = compared.path("pipeline/imaging/__pycache__/color.cpython-313.pyc")
    byte_code.parent.mkdir(exist_ok=True)
    byte_code.touch()
    compared.path("pipeline/recipes/new.py").write_text("# Trains no run again.\n")
    assert repro(compared) == []

    settings = compared.path("comparison/params.yaml")
    settings.write_text(settings.read_text().replace("Is one better?", "Which is better?"))
    assert repro(compared) == ["table"]
    settings.write_text(settings.read_text().replace("recipe: pix2pix", "recipe: cgan"))
    assert repro(compared) == ["train@slim", "evaluate@slim", "table"]
