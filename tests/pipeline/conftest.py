"""What tests of several modules stand on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pipeline import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line with the arguments given; returns the exit code."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["colorpipe", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        assert isinstance(exited.value.code, int)
        return exited.value.code

    return call
