"""dvc.yaml against the code: each stage depends on what it runs and on nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from imports import NO_INFLUENCE, imported
from scratch import PROJECT

from pipeline.params import Params

# In git, not made by the chain: training starts from it.
SHIPPED = Path("models/colorpipe.safetensors")

CHAIN: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = CHAIN["stages"]


def paths(entries: list[Any]) -> set[Path]:
    """Entries of deps or outs, which are names, or a name with settings."""
    return {Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in entries}


def code(stage: str) -> set[Path]:
    """The Python files among a stage's dependencies; a folder stands for all files below it."""
    found: set[Path] = set()
    for path in paths(STAGES[stage]["deps"]):
        if (PROJECT / path).is_dir() and path.parts[0] in {"pipeline", "stages"}:
            found |= {file.relative_to(PROJECT) for file in (PROJECT / path).rglob("*.py")}
        elif path.suffix == ".py":
            found.add(path)
    return found


def test_the_chain_has_its_seven_stages_in_order() -> None:
    assert list(STAGES) == list(Params.model_fields)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_subcommand_run_from_the_current_folder_s_code(stage: str) -> None:
    command = " ".join(STAGES[stage]["cmd"].split())
    assert command == f"python -m pipeline {stage}" or command.startswith(
        f"python -m pipeline {stage} "
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_it_imports(stage: str) -> None:
    module = Path("stages") / f"{stage}.py"
    needed = ({module} | imported(module, PROJECT)) - NO_INFLUENCE
    assert needed - code(stage) == set(), "missing in dvc.yaml"
    assert code(stage) - needed - NO_INFLUENCE == set(), "in dvc.yaml, but not imported"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_its_own_parameters(stage: str) -> None:
    assert STAGES[stage]["params"] == [stage]


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_reads_of_data_is_what_an_earlier_one_writes(stage: str) -> None:
    earlier: set[Path] = set()
    for name in list(STAGES)[: list(STAGES).index(stage)]:
        earlier |= paths(STAGES[name]["outs"])
    made = {
        path
        for path in paths(STAGES[stage]["deps"])
        if path.parts[0] in {"data", "models", "reports"}
    }
    for path in made - {SHIPPED}:
        assert any(out == path or out in path.parents for out in earlier), path


def test_the_weights_that_ship_decide_what_training_makes_and_nothing_else() -> None:
    # Inside the chain there is a trained generator: what ships is not read to colorize.
    assert [stage for stage in STAGES if SHIPPED in paths(STAGES[stage]["deps"])] == ["train"]


def test_metrics_plots_and_the_model_are_declared_at_the_top() -> None:
    assert CHAIN["metrics"]
    assert CHAIN["plots"]
    assert "models/generator.safetensors" in {a["path"] for a in CHAIN["artifacts"].values()}
    for stage in STAGES.values():
        assert set(stage) <= {"cmd", "desc", "deps", "params", "outs"}
        for out in stage["outs"]:
            settings = {} if isinstance(out, str) else next(iter(out.values()))
            # persist lets an out drift; cache: false turns the run cache off for the stage.
            assert "persist" not in settings
            assert settings.get("cache", True)
