"""The typed form of ``comparison/params.yaml``, and where things are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from pipeline.errors import ColorpipeError
from pipeline.params import (
    CleanParams,
    EvaluateParams,
    ResizeParams,
    ScrapeParams,
    Section,
    SplitParams,
    TrainParams,
    validate,
)

HERE = Path("comparison")
"""Its folder, from the project's: commands run there, where the packages are."""
SPLIT = HERE / "data" / "split"
MODELS, COSTS, CURVES = (HERE / name for name in ("models", "costs", "curves"))
REPORTS = HERE / "reports"
TABLE, RESULTS = HERE / "table.csv", HERE / "results.md"


class Budget(Section):
    """How long every run trains."""

    unit: Literal["images", "seconds"] = Field(
        description="What is the same for all: images seen, or seconds on this machine."
    )
    amount: int = Field(ge=1, description="How many of them.")


class Question(Section):
    """What the authors of a system found or left open, as one run being better than another."""

    text: str = Field(description="Their finding, or the question.")
    better: str = Field(description="The run that should be better.")
    than: str = Field(description="The run that it should be better than.")


class Comparison(Section):
    """Which systems are compared, on which photos, and how."""

    scrape: ScrapeParams = Field(description="Where the photos come from.")
    clean: CleanParams
    resize: ResizeParams
    split: SplitParams
    budget: Budget
    train: dict[str, Any] = Field(
        description="Keys of the section train, for every run; of options, each one by itself."
    )
    runs: tuple[str, ...] = Field(min_length=2, description="What is compared, in order.")
    overrides: dict[str, dict[str, Any]] = Field(
        description="Keys of the section train for each run; an empty mapping for none."
    )
    evaluate: EvaluateParams
    questions: tuple[Question, ...] = ()

    def params(self, run: str) -> TrainParams:
        """Return what a run is trained with; its recipe is its name unless it says otherwise.

        Raises:
            ColorpipeError: there is no such run, or a key or value of it is not allowed.
        """
        if run not in self.runs:
            raise ColorpipeError(f"There is no run '{run}'; there are {', '.join(self.runs)}.")
        own = self.overrides[run]
        values = {"recipe": run, **self.train, **own}
        common, given = self.train.get("options"), own.get("options")
        # What is no mapping is refused below.
        if isinstance(common, dict) and isinstance(given, dict):
            values["options"] = {**common, **given}
        return validate(TrainParams, values, f"comparison/params.yaml, run {run}")


def read_comparison(path: Path = HERE / "params.yaml") -> Comparison:
    """Read the file.

    Raises:
        ColorpipeError: it is missing, no YAML, a key or value is not allowed, or runs, overrides
            and questions do not fit together.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ColorpipeError(
            f"{path} could not be read ({error}); run this in the project's folder."
        ) from error
    comparison = validate(Comparison, content, str(path))
    if set(comparison.overrides) != set(comparison.runs):
        # dvc tracks the overrides of each run by their key.
        odd = sorted(set(comparison.overrides) ^ set(comparison.runs))
        raise ColorpipeError(
            f"{path}: '{odd[0]}' stands in one of runs and overrides only; every run has its key"
            " in overrides, with {} for none."
        )
    asked = {run for question in comparison.questions for run in (question.better, question.than)}
    if unknown := sorted(asked - set(comparison.runs)):
        raise ColorpipeError(f"{path}: a question is about '{unknown[0]}', which is no run.")
    return comparison
