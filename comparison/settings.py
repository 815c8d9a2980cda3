"""The typed form of ``comparison/params.yaml``."""

from __future__ import annotations

from functools import cached_property
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
    override,
    validate,
)

HERE = Path("comparison")
"""Its folder, from the project's: commands run there, where the packages are."""


class Budget(Section):
    """How long every run trains."""

    unit: Literal["images", "seconds"] = Field(
        description="What is the same for all: images seen, or seconds of a processor, by the"
        " speeds that were measured side by side."
    )
    amount: int = Field(ge=1, description="How many of them.")


class Question(Section):
    """What the authors of a system found or left open, as a comparison of two runs."""

    text: str = Field(description="Their finding, or the question.")
    better: str = Field(description="The run that should be better.")
    than: str = Field(description="The run that it should be better than.")


class Comparison(Section):
    """Which systems are compared, on which photos, and how."""

    scrape: ScrapeParams = Field(description="Where the photos come from.")
    clean: CleanParams
    photos_per_kind: int | None = Field(
        default=None,
        ge=2,
        description="How many clean photos of each kind are kept, at most; null keeps all.",
    )
    resize: ResizeParams
    split: SplitParams
    budget: Budget
    train: dict[str, Any] = Field(
        description="Keys of the section train, for every run; of options, each one by itself."
    )
    runs: dict[str, dict[str, Any]] = Field(
        min_length=2,
        description="What is compared, in order: of each run, keys of the section train that win"
        " over those for every run; at least the recipe.",
    )
    given: dict[str, Path] = Field(
        default={}, description="Weights that are evaluated as they are, relative to this folder."
    )
    evaluate: EvaluateParams
    questions: tuple[Question, ...] = ()

    @property
    def results(self) -> list[str]:
        """What is evaluated: the runs, then the weights that are given."""
        return [*self.runs, *self.given]

    def params(self, run: str) -> TrainParams:
        """Return what a run is trained with.

        Raises:
            ColorpipeError: there is no such run, or a key or value of it is not allowed.
        """
        if run not in self.runs:
            raise ColorpipeError(f"There is no run '{run}'; there are {', '.join(self.runs)}.")
        own = self.runs[run]
        values = {**self.train, **own}
        common, given = self.train.get("options"), own.get("options")
        # What is no mapping is refused below.
        if isinstance(common, dict) and isinstance(given, dict):
            values["options"] = {**common, **given}
        return validate(TrainParams, values, f"comparison/params.yaml, run {run}")

    @cached_property
    def repeats(self) -> dict[str, str]:
        """The runs that repeat an earlier one with another seed, and which one that is.

        Raises:
            ColorpipeError: a key or value of a run is not allowed.
        """
        firsts: dict[str, str] = {}
        repeats = {}
        for run in self.runs:
            seedless = override(self.params(run), {"seed": 0}).model_dump_json()
            first = firsts.setdefault(seedless, run)
            if first != run:
                repeats[run] = first
        return repeats

    def seeds_of(self, result: str) -> list[str]:
        """Return a run or given weights, and its repeats with other seeds."""
        return [result, *(run for run, first in self.repeats.items() if first == result)]


def read_comparison(path: Path = HERE / "params.yaml") -> Comparison:
    """Read the file.

    Raises:
        ColorpipeError: it is missing, no YAML, a key or value is not allowed, a run names no
            recipe, or a question is about a run that is not there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ColorpipeError(
            f"{path} could not be read ({error}); run this in the project's folder."
        ) from error
    comparison = validate(Comparison, content, str(path))
    for run, own in comparison.runs.items():
        # dvc.yaml depends on the recipe that is named here.
        if "recipe" not in own:
            raise ColorpipeError(f"{path}: the run '{run}' names no recipe; add the key 'recipe'.")
        comparison.params(run)
    asked = {run for question in comparison.questions for run in (question.better, question.than)}
    if twice := sorted(set(comparison.runs) & set(comparison.given)):
        raise ColorpipeError(f"{path}: '{twice[0]}' is both in runs and in given; rename one.")
    if unknown := sorted(asked - set(comparison.results)):
        raise ColorpipeError(f"{path}: a question is about '{unknown[0]}', which is no run.")
    return comparison
