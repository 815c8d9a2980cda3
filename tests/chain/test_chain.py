"""The whole chain on the embedded default, through dvc's own commands."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scratch import Scratch, stages_run

from pipeline.params import Params

STAGES = ["scrape", "clean", "resize", "split", "train", "evaluate", "colorize"]


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.asarray(image)


def luma(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def category(name: str) -> str:
    return name.rpartition("-")[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def declared_plots(chain: Scratch) -> set[str]:
    entries = yaml.safe_load(chain.path("dvc.yaml").read_text())["plots"]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def experiments(chain: Scratch, column: str) -> dict[str, str]:
    """A column of `dvc exp show` by the name of the experiment, branch or workspace."""
    rows = csv.DictReader(chain.dvc("exp", "show", "--csv").splitlines())
    return {row["Experiment"] or row["rev"]: row[column] for row in rows}


# What the chain makes


def test_every_test_photo_is_colorized_with_its_own_tones(built: Scratch) -> None:
    gray, colorized = built.path("data/split/test_x"), built.path("data/colorized")
    assert names(gray)
    assert names(colorized) == names(gray)
    for name in names(gray):
        assert pixels(colorized / name).ndim == 3
        assert np.array_equal(luma(colorized / name), pixels(gray / name))


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_x_is_the_gray_of_y(built: Scratch, part: str) -> None:
    gray, color = built.path(f"data/split/{part}_x"), built.path(f"data/split/{part}_y")
    assert names(gray) == names(color) != set()
    for name in names(gray):
        assert pixels(color / name).shape == (64, 64, 3)
        assert np.array_equal(pixels(gray / name), luma(color / name))


def test_ten_photos_of_each_category_are_held_out(built: Scratch) -> None:
    test, train = (names(built.path(f"data/split/{part}_y")) for part in ("test", "train"))
    categories = {path.name for path in built.path("data/resized").iterdir() if path.is_dir()}
    assert Counter(map(category, test)) == dict.fromkeys(categories, 10)
    assert {category(name) for name in train} == categories
    photos = [
        {pixels(built.path(f"data/split/{part}_y") / name).tobytes() for name in found}
        for part, found in (("test", test), ("train", train))
    ]
    assert photos[0].isdisjoint(photos[1])


def test_every_raw_photo_is_accounted_for(built: Scratch) -> None:
    raw = built.path("data/raw")
    photos = {path.relative_to(raw).as_posix() for path in raw.glob("*/*") if path.suffix != ".csv"}
    with (raw / "manifest.csv").open(newline="") as stream:
        manifest = list(csv.DictReader(stream))
    assert {f"{row['category']}/{row['name']}" for row in manifest} == photos != set()
    assert all(row["license"] and row["sha256"] for row in manifest)
    # A document has a row for each page.
    with built.path("reports/clean.csv").open(newline="") as stream:
        assert {f"{row['category']}/{row['file']}" for row in csv.DictReader(stream)} == photos


def test_metrics_stand_next_to_those_of_the_gray_baseline(built: Scratch) -> None:
    shown = json.dumps(built.json("metrics", "show"))
    assert all(name in shown for name in ("psnr", "ssim", "ciede2000", "gray"))


# Running it again


def test_a_second_repro_runs_nothing(built: Scratch) -> None:
    assert built.repro() == []
    assert built.changed() == set()
    assert built.git("status", "--porcelain") == ""


def test_the_same_inputs_give_the_same_bytes(chain: Scratch) -> None:
    lock = chain.path("dvc.lock").read_bytes()
    shutil.rmtree(chain.path(".colorpipe"), ignore_errors=True)
    assert chain.repro("--force", "--no-run-cache") == STAGES
    assert chain.path("dvc.lock").read_bytes() == lock


def test_touching_a_test_or_a_document_reruns_nothing(chain: Scratch) -> None:
    for name in ("tests/scratch.py", "README.md", "Makefile", "pyproject.toml"):
        with chain.path(name).open("a") as stream:
            stream.write("\n# touched\n")
    byte_code = chain.path("pipeline/imaging/__pycache__/color.cpython-313.pyc")
    byte_code.parent.mkdir(exist_ok=True)
    byte_code.touch()
    assert chain.changed() == set()
    assert chain.repro() == []


def test_only_the_recipe_in_use_makes_a_stage_out_of_date(chain: Scratch) -> None:
    chain.path("pipeline/recipes/new.py").write_text("# A new recipe.\n")
    for name, out_of_date in (("unet", set()), ("colorpipe", {"train", "evaluate", "colorize"})):
        with chain.path(f"pipeline/recipes/{name}.py").open("a") as stream:
            stream.write("# touched\n")
        assert chain.changed() == out_of_date


@pytest.mark.parametrize("section", STAGES)
def test_a_parameter_makes_its_own_stage_out_of_date(chain: Scratch, section: str) -> None:
    other = {
        "scrape": {"limit": 99},
        "clean": {"min_side": 65},
        "resize": {"mode": "stretch"},
        "split": {"seed": 1},
        "train": {"seed": 1},
        "evaluate": {"gallery": 3},
        "colorize": {"strength": 0.5},
    }[section]
    assert all(chain.params()[section][key] != value for key, value in other.items())
    chain.set_params(section, **other)
    assert chain.changed() == {section}


def test_evaluating_differently_does_not_retrain(chain: Scratch) -> None:
    chain.set_params("evaluate", gallery=3)
    assert chain.repro() == ["evaluate"]


def test_metrics_are_shown_in_a_clone_without_data(built: Scratch, tmp_path: Path) -> None:
    built.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone")
    assert clone.json("metrics", "show") == built.json("metrics", "show")
    assert clone.json("metrics", "diff", "HEAD~1", "HEAD", "--all")


# Experiments


def test_an_experiment_is_run_shown_compared_and_plotted(chain: Scratch) -> None:
    ran = stages_run(chain.dvc("exp", "run", "--name", "longer", "-S", "train.epochs=2"))
    assert ran == ["train", "evaluate", "colorize"]
    assert chain.params()["train"]["epochs"] == 2

    epochs = experiments(chain, "train.epochs")
    assert epochs == {"workspace": "2", "main": "1", "longer": "2"}

    (changes,) = chain.json("metrics", "diff").values()
    assert any(set(change) >= {"old", "new", "diff"} for change in changes.values())

    shown = chain.json("plots", "show")
    assert not shown.get("errors")
    assert set(shown["data"]) == declared_plots(chain)
    for drawing in (drawing for drawings in shown["data"].values() for drawing in drawings):
        if drawing["type"] == "vega":
            assert drawing["content"]["data"]["values"]
        else:
            assert pixels(Path(drawing["url"])).size
    chain.dvc("plots", "show", "--out", "plots")
    assert chain.path("plots/index.html").stat().st_size


def test_an_experiment_elsewhere_leaves_the_workspace_alone(chain: Scratch) -> None:
    before = contents(chain.path("reports"))
    chain.dvc("exp", "run", "--temp", "--name", "aside", "-S", "evaluate.gallery=3")
    assert chain.git("status", "--porcelain") == ""
    assert contents(chain.path("reports")) == before
    assert experiments(chain, "evaluate.gallery")["aside"] == "3"


def test_an_experiment_elsewhere_runs_the_code_there(chain: Scratch) -> None:
    # Change the code, queue by --temp, and look for the change in the experiment's result.
    stage = chain.path("stages/evaluate.py")
    stage.write_text(stage.read_text() + '\nprint("the code of the copy")\n')
    output = chain.dvc("exp", "run", "--temp", "--name", "changed")
    assert "the code of the copy" in output


# A remote


def test_data_and_models_come_back_from_a_remote(chain: Scratch, tmp_path: Path) -> None:
    kept = ("data", "models", "reports")
    before = {name: contents(chain.path(name)) for name in kept}
    chain.dvc("remote", "add", "--default", "storage", tmp_path / "remote")
    chain.commit("A remote")
    chain.dvc("push")
    for name in ("data", "models", ".dvc/cache", ".colorpipe"):
        shutil.rmtree(chain.path(name), ignore_errors=True)
    chain.dvc("pull")
    # Files that git keeps in these folders would be missing; nothing else may be new to git.
    chain.git("restore", ".")
    assert {name: contents(chain.path(name)) for name in kept} == before
    assert chain.git("status", "--porcelain") == ""
    assert chain.changed() == set()
    assert chain.repro() == []


def test_params_yaml_is_the_defaults_written_out(project: Scratch) -> None:
    # Every key stands there, so that each is seen with its reason; so do the values.
    assert project.params() == Params().model_dump(mode="json")
