"""The command line with a stand-in for a stage, in an empty folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli


class StandIn(list[tuple[Any, ...]]):
    """Stands in for a stage: records the arguments of each call, then answers or raises."""

    def __init__(self, outcome: object = ()) -> None:
        super().__init__()
        self.outcome = outcome

    def __call__(self, *arguments: Any, **named: Any) -> object:
        self.append((*arguments, *named.values()))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def params(self) -> Any:
        """The section of parameters that the only call was given."""
        (arguments,) = self
        return next(a for a in arguments if type(a).__name__.endswith("Params"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command line with the given arguments; returns its exit code."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["colorpipe", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        assert isinstance(exited.value.code, int)
        return exited.value.code

    return call


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    """Replaces a stage, by its name, by a stand-in with an outcome."""

    def replace(stage: str, outcome: object = ()) -> StandIn:
        calls = StandIn(outcome)
        monkeypatch.setattr(f"stages.{stage}.{stage}", calls)
        return calls

    return replace
