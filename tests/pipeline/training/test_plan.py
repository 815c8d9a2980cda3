"""What a run does is resolved before it starts, and can be read and repeated."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from scratch import PROJECT

from pipeline.errors import ColorpipeError
from pipeline.params import Params, TrainParams, validate
from pipeline.recipes import RECIPES, get_recipe, recipe_class
from pipeline.training.plan import as_params_file, describe_recipes, plan_of, recipe_of

GENTLER = {"epochs": 7, "learning_rate": 1e-5}


@pytest.fixture(autouse=True)
def fine_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_class("colorpipe"), "fine_tuning", GENTLER)


def start(**params: Any) -> tuple[str, str]:
    plan = plan_of(TrainParams(**params))
    return plan.preset, plan.init


def test_given_values_override_the_recipes() -> None:
    recipe = recipe_of(TrainParams(recipe="landscape-rgb", epochs=3))
    assert recipe.settings.epochs == 3
    assert recipe.settings.learning_rate == 5e-4
    recipe = recipe_of(TrainParams(options={"lambda_regression": 7}))
    assert recipe.options()["lambda_regression"] == 7


def test_a_hyper_parameter_given_twice_is_refused() -> None:
    with pytest.raises(ColorpipeError, match="'size' is given both as a parameter of its own and"):
        recipe_of(TrainParams(size=32, options={"size": 64}))
    assert recipe_of(TrainParams(options={"size": 64})).settings.size == 64


@pytest.mark.parametrize("name", RECIPES)
def test_colorpipe_is_fine_tuned_and_others_start_from_scratch(name: str) -> None:
    expected = ("from-scratch", "scratch")
    assert start(recipe=name) == (("fine-tune", "pretrained") if name == "colorpipe" else expected)


def test_preset_and_init_follow_from_each_other() -> None:
    assert start(init="scratch") == ("from-scratch", "scratch")
    assert start(preset="from-scratch") == ("from-scratch", "scratch")
    assert start(recipe="cgan", init="a.safetensors") == ("fine-tune", "a.safetensors")
    assert start(recipe="cgan", preset="fine-tune") == ("fine-tune", "pretrained")


def test_where_both_are_given_neither_changes_the_other() -> None:
    for init in ("scratch", "pretrained", "a.safetensors"):
        for preset in ("from-scratch", "fine-tune"):
            assert start(preset=preset, init=init) == (preset, init)


def test_the_preset_alone_decides_about_values_left_open() -> None:
    own = get_recipe("colorpipe").settings
    gentler = own.model_copy(update=GENTLER)
    for init in ("scratch", "pretrained"):
        assert recipe_of(TrainParams(preset="from-scratch", init=init)).settings == own
        assert recipe_of(TrainParams(preset="fine-tune", init=init)).settings == gentler
    given = recipe_of(TrainParams(epochs=3, options={"learning_rate": 0.5})).settings
    assert (given.epochs, given.learning_rate) == (3, 0.5)


def test_the_origin_of_every_value_is_known() -> None:
    plan = plan_of(TrainParams(epochs=3, options={"width": 8}))
    assert plan.origins.keys() == plan.recipe.options().keys()
    assert plan.origins["epochs"] == plan.origins["width"] == "given"
    assert plan.origins["learning_rate"] == "preset fine-tune"
    assert plan.origins["hinted"] == "recipe colorpipe"


@pytest.mark.parametrize("name", RECIPES)
def test_a_plan_written_down_is_the_same_plan_when_read(name: str) -> None:
    plan = plan_of(TrainParams(recipe=name, epochs=3, seed=5))
    written = as_params_file(plan, {"keep": "last", "device": "cpu"}, ["A note."])
    read = validate(Params, yaml.safe_load(written), "it").train
    again = plan_of(read)
    assert (again.preset, again.init) == (plan.preset, plan.init)
    assert again.recipe.options() == plan.recipe.options()
    assert set(again.origins.values()) == {"given"}
    assert (read.seed, read.keep, read.device) == (5, "last", "cpu")
    assert written.startswith("# A note.\ntrain:\n")


def test_a_plan_written_down_says_where_values_come_from() -> None:
    lines = as_params_file(plan_of(TrainParams(batch_size=8))).splitlines()
    found = {line.split()[0]: line.partition("#")[2].strip() for line in lines}
    assert found["batch_size:"] == "given"
    assert found["learning_rate:"] == "preset fine-tune"
    assert found["hinted:"] == "recipe colorpipe"
    assert "  learning_rate: 1.0e-05 " in as_params_file(plan_of(TrainParams()))


def test_a_mapping_is_written_on_its_line() -> None:
    draw = {f"category {number}": 0.5 for number in range(30)}
    written = as_params_file(plan_of(TrainParams(options={"draw": draw})))
    read = validate(Params, yaml.safe_load(written), "it").train
    assert read.options["draw"] == draw


def test_every_recipe_is_described() -> None:
    rows = describe_recipes()
    assert [row["recipe"] for row in rows] == list(RECIPES)
    assert all(all(row.values()) for row in rows)


def test_the_description_names_the_start_and_the_preset() -> None:
    starts = {row["recipe"]: row["start"] for row in describe_recipes()}
    expected = "pretrained, preset fine-tune: epochs 7, learning_rate 1e-05"
    assert starts.pop("colorpipe") == expected
    assert set(starts.values()) == {"scratch"}


def test_params_yaml_says_what_the_default_run_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    lines = text.partition("\ntrain:\n")[2].partition("\n\n")[0].splitlines()
    reasons = dict(line.strip().split(":", 1) for line in lines)
    settings = recipe_of(TrainParams()).options()
    for key in ("epochs", "batch_size", "size", "learning_rate"):
        assert str(settings[key]) in reasons[key].partition("#")[2], key
