"""The published experiments: files of parameters, each one ``dvc exp run``."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from photos import real_photos
from scratch import PROJECT, Scratch, stages_run

import stages.clean
import stages.colorize
import stages.evaluate
import stages.resize
import stages.scrape
import stages.split
import stages.train
from pipeline.errors import ColorpipeError
from pipeline.imaging.decode import open_photo
from pipeline.params import Params, override
from pipeline.recipes import RECIPES, recipe_class
from pipeline.sources.categories import read_categories
from pipeline.training.plan import recipe_of

FILES = sorted((PROJECT / "experiments").glob("*.yaml"), key=lambda path: path.stem)


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run", PROJECT / "experiments/run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def params_of(path: Path) -> Params:
    return Params.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_fits_its_recipe_and_its_data(path: Path) -> None:
    params = params_of(path)
    recipe = recipe_of(params.train)
    assert path.stem.startswith(recipe.name)
    # Photos are not enlarged for training.
    assert params.resize.size >= recipe.settings.size
    if params.scrape.source == "bing":
        assert read_categories(PROJECT / params.scrape.categories)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_last_weights_of_a_published_system_are_kept(path: Path) -> None:
    # The authors do not choose weights by validation photos.
    assert params_of(path).train.keep == "last"


def test_every_published_system_has_one() -> None:
    published = {name for name in RECIPES if recipe_class(name).origin != "this project"}
    assert {params_of(path).train.recipe for path in FILES} == published


def test_keys_become_options_of_dvc(run: ModuleType) -> None:
    found = run.options(PROJECT / "experiments/dcgan-cifar10.yaml")
    assert '--set-param=scrape.source="cifar10"' in found
    assert "--set-param=clean.min_side=null" in found
    assert "--set-param=++train.options.lambda_l1=10" in found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_run_before_makes_it_another_experiment(
    run: ModuleType, path: Path, tmp_path: Path
) -> None:
    assert set(yaml.safe_load(path.read_text())) <= run.SECTIONS
    params = tmp_path / "params.yaml"
    params.write_text((PROJECT / "params.yaml").read_text())
    before = ["scrape.path=/mnt/photos", "train.epochs=3", "++train.options.draw={sea:2}"]
    of_another = run.options(PROJECT / "experiments/dcgan-cifar10.yaml")
    for given in (of_another, before, run.options(path)):
        apply_overrides(params, [option.removeprefix("--set-param=") for option in given])
    published = params_of(path)
    published = published.model_copy(
        update={"scrape": override(published.scrape, {"path": "/mnt/photos"})}
    )
    assert params_of(params) == published
    assert "# runs without a network" in params.read_text()


def test_mistakes_are_said_and_nothing_runs(
    run: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["pix3pix"]) == 2
    assert "no experiment 'pix3pix'; there are cgan, " in capsys.readouterr().err
    for content, sentence in (
        ({"train": {"recipe": "pix2pix", "sise": 3}}, "'train.sise' is not a known key"),
        ({"train": {"recipe": "unet", "options": {"a": 1}}}, "recipe unet: 'a' is not a known"),
    ):
        (tmp_path / "odd.yaml").write_text(yaml.safe_dump(content))
        with pytest.raises(ColorpipeError, match=sentence):
            run.options(tmp_path / "odd.yaml")
    (tmp_path / "odd.yaml").write_text("train: {recipe: pix2pix\n")
    with pytest.raises(ColorpipeError, match=r"odd\.yaml is not valid YAML"):
        run.options(tmp_path / "odd.yaml")


def test_all_are_listed_with_what_they_are(
    run: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in FILES]
    for path, line in zip(FILES, lines, strict=True):
        # "COCO cGAN tutorial: the generator trained by L1 first" is of that tutorial.
        system = re.split("[:;]|, arXiv", recipe_of(params_of(path).train).origin)[0]
        assert system in line
    # Whole sentences, the first of each.
    assert all(line.endswith(".") and ". " not in line for line in lines)


def test_one_is_run_from_photos_to_results(project: Scratch, tmp_path: Path) -> None:
    scratch = project.copy(tmp_path / "colorpipe")
    photos = tmp_path / "photos/landscapes"
    photos.mkdir(parents=True)
    for index, photo in enumerate(real_photos(12)):
        (photos / f"{index}{photo.suffix}").write_bytes(photo.read_bytes())
    tiny: dict[str, Any] = {
        "scrape.path": photos.parent,
        "resize.size": 64,
        "split.test_per_category": 2,
        "train.size": 32,
        "train.epochs": 1,
        "train.batch_size": 4,
        "++train.options.halvings": 5,
        "++train.options.width": 4,
    }
    given = [f"--set-param={key}={value}" for key, value in tiny.items()]
    output = scratch.run(sys.executable, "experiments/run.py", "pix2pix", "--name", "p2p", *given)
    assert stages_run(output) == list(Params.model_fields)
    made = scratch.params()
    assert (made["train"]["recipe"], made["scrape"]["source"]) == ("pix2pix", "landscapes")
    assert made["clean"]["min_chroma_spread"] is None
    assert len(list(scratch.path("data/colorized").iterdir())) == 2
    assert "# " in scratch.path("params.yaml").read_text()
    assert "p2p" in scratch.dvc("exp", "list")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_runs_to_the_end_at_its_own_size(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "inbox/photos"
    photos.mkdir(parents=True)
    for index, photo in enumerate(real_photos(3)):
        (photos / f"{index}{photo.suffix}").write_bytes(photo.read_bytes())
    params = params_of(path)
    # Of every phase one epoch of one step, whose pictures and networks are the published ones.
    epochs = len(recipe_of(params.train).phases)
    training = override(params.train, {"epochs": epochs, "batch_size": 2, "device": "cpu"})
    raw, cleaned, resized, split, reports, out = (
        tmp_path / name for name in ("raw", "clean", "resized", "split", "reports", "out")
    )
    weights = tmp_path / "models/generator.safetensors"
    source = override(params.scrape, {"source": "folder", "path": photos.parent, "limit": None})
    assert stages.scrape.scrape(raw, source) == []
    assert stages.clean.clean(raw, cleaned, tmp_path / "clean.csv", params.clean) == []
    assert stages.resize.resize(cleaned, resized, params.resize) == []
    few = override(params.split, {"test_per_category": 1, "val_fraction": 0.0})
    assert stages.split.split(resized, split, few) == []
    stages.train.train(split, weights, tmp_path / "curves", training)
    judged = override(params.evaluate, {"resamples": 100, "recognition": False})
    stages.evaluate.evaluate(split, weights, reports, judged)
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["ciede2000"]["colorized"] > 0
    assert stages.colorize.colorize(split / "test_x", out, weights, params.colorize) == []
    (colored,) = out.iterdir()
    assert open_photo(colored).image.size == (params.resize.size,) * 2
