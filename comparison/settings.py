"""The typed form of ``comparison/params.yaml``, and of the measured speeds beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from itertools import product
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
        return self._like_earlier({run: {"seed": 0} for run in self.runs})

    @cached_property
    def resized(self) -> dict[str, str]:
        """The runs that are an earlier one at another size, and which one that is.

        Raises:
            ColorpipeError: a key or value of a run is not allowed.
        """
        firsts = [run for run in self.runs if run not in self.repeats]
        return self._like_earlier({run: self._without_size(run) for run in firsts})

    def _without_size(self, run: str) -> dict[str, Any]:
        # The size at which colorpipe colors goes with the size of its training.
        options = self.params(run).options
        others = {name: value for name, value in options.items() if name != "working_size"}
        return {"size": None, "options": others}

    def _like_earlier(self, apart_from: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Map runs to the first that is the same once each has its values of ``apart_from``."""
        firsts: dict[str, str] = {}
        like = {}
        for run, values in apart_from.items():
            rest = self.params(run).model_copy(update=values).model_dump_json()
            first = firsts.setdefault(rest, run)
            if first != run:
                like[run] = first
        return like

    def seeds_of(self, result: str) -> list[str]:
        """Return a run or given weights, and its repeats with other seeds."""
        return [result, *(run for run, first in self.repeats.items() if first == result)]

    def sizes_of(self, result: str) -> list[str]:
        """Return a run or given weights, and the same at other sizes."""
        return [result, *(run for run, first in self.resized.items() if first == result)]

    def pairs(self, question: Question) -> list[tuple[str, str]]:
        """Return the runs that answer a question: those it names, with every seed of both.

        Where both were also run at another size, these come after them, each with its like.
        """
        named = (question.better, question.than)
        at_other_sizes = [
            (better, than)
            for better, than in product(*(self.sizes_of(result)[1:] for result in named))
            if self.params(better).size == self.params(than).size
        ]
        return [
            pair
            for better, than in [named, *at_other_sizes]
            for pair in product(self.seeds_of(better), self.seeds_of(than))
        ]

    def system(self, result: str) -> str:
        """Return the run that a result is another seed or another size of, or itself."""
        first = self.repeats.get(result, result)
        return self.resized.get(first, first)


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


def read_speed(speeds: Path, run: str) -> float:
    """Return how many images a second a run trains, as ``python -m comparison speeds`` wrote it.

    Raises:
        ColorpipeError: the file is missing, or the run is not in it.
    """
    try:
        return float(json.loads(speeds.read_text(encoding="utf-8"))[run])
    except (OSError, ValueError, KeyError) as error:
        raise ColorpipeError(
            f"{speeds} does not say how fast '{run}' is ({error}); run `python -m comparison"
            f" speeds --split comparison/data/split --speeds {speeds}` on a machine that does"
            " nothing else."
        ) from error
