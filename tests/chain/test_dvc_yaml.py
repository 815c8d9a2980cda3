"""dvc.yaml against the code: each stage depends on what it reads and on the rooms it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from imports import rooms
from scratch import PROJECT

from pipeline.params import Params
from pipeline.recipes import RECIPES

# In git, not made by the chain: training starts from it.
PRETRAINED = Path("models/colorpipe.safetensors")
# A sheet of the dropped photos, and what the weights were trained with.
BESIDE = {
    Path("reports/clean-dropped.png"): Path("reports/clean.csv"),
    Path("models/generator.yaml"): Path("models/generator.safetensors"),
}
METRICS = Path("reports/evaluate/metrics.json")

CHAIN: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = CHAIN["stages"]


def outs(stage: str) -> dict[Path, dict[str, Any]]:
    """The outs of a stage and their settings; an entry is a name, or a name with settings."""
    entries = [entry if isinstance(entry, dict) else {entry: {}} for entry in STAGES[stage]["outs"]]
    return {Path(name): settings for entry in entries for name, settings in entry.items()}


def made_by_the_chain(stage: str) -> set[Path]:
    """What a stage reads of data, models and reports, but for the weights in git."""
    deps = {Path(name) for name in STAGES[stage]["deps"]}
    return {path for path in deps if path.parts[0] in {"data", "models", "reports"}} - {PRETRAINED}


def test_the_chain_has_its_seven_stages_in_order() -> None:
    assert list(STAGES) == list(Params.model_fields)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_subcommand_of_this_folder_s_code(stage: str) -> None:
    assert STAGES[stage]["cmd"].startswith(f"python -m pipeline {stage} ")


@pytest.mark.parametrize("stage", STAGES)
def test_a_command_names_its_inputs_and_outputs(stage: str) -> None:
    named = {Path(word) for word in STAGES[stage]["cmd"].split()}
    assert made_by_the_chain(stage) <= named
    for out in outs(stage):
        assert {out, BESIDE.get(out), *out.parents} & named, out


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_module_and_the_rooms_it_imports(stage: str) -> None:
    deps = [Path(name) for name in STAGES[stage]["deps"]]
    module = Path("stages") / f"{stage}.py"
    assert {path for path in deps if path.parts[0] == "stages"} == {module}
    assert {path.parts[1] for path in deps if path.parts[0] == "pipeline"} == rooms(module)


@pytest.mark.parametrize("stage", ["train", "evaluate", "colorize"])
def test_a_stage_depends_on_one_recipe_only(stage: str) -> None:
    of_recipes = [name for name in STAGES[stage]["deps"] if "/recipes" in name]
    assert of_recipes == ["pipeline/recipes/${train.recipe}.py", "pipeline/recipes/shared"]
    for recipe in RECIPES:
        assert (PROJECT / f"pipeline/recipes/{recipe}.py").is_file()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_its_own_parameters(stage: str) -> None:
    assert STAGES[stage]["params"] == [stage]


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_reads_an_earlier_one_writes(stage: str) -> None:
    earlier: set[Path] = set()
    for name in list(STAGES)[: list(STAGES).index(stage)]:
        earlier |= outs(name).keys()
    for path in made_by_the_chain(stage):
        assert {path, *path.parents} & earlier, path


def test_the_pretrained_weights_decide_training_and_nothing_else() -> None:
    # Inside the chain there is a trained generator, which is what colorizes.
    assert [name for name, stage in STAGES.items() if str(PRETRAINED) in stage["deps"]] == ["train"]


def test_the_metrics_stand_in_git_and_all_else_in_the_cache() -> None:
    settings = {path: given for stage in STAGES for path, given in outs(stage).items()}
    assert {path: given for path, given in settings.items() if given} == {METRICS: {"cache": False}}


def test_metrics_plots_and_the_model_are_declared_at_the_top() -> None:
    assert CHAIN["metrics"] == [str(METRICS)]
    assert CHAIN["plots"]
    assert "models/generator.safetensors" in {a["path"] for a in CHAIN["artifacts"].values()}
