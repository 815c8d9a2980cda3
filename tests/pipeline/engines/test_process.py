"""A process that holds something: stops, errors, and deaths that nobody saw."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from pipeline.engines import process
from pipeline.engines.process import HoldingProcess
from pipeline.errors import ColorpipeError


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawned process would import this module, which is in no package."""
    monkeypatch.setattr(process, "_may_fork", lambda: True)


def nothing() -> None:
    """Held by the process."""


def quick(_: None, numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        time.sleep(0.001)
        yield number


def refusing(_: None, numbers: Iterator[int]) -> Iterator[int]:
    raise ColorpipeError(f"not {next(numbers)}")


def refused(_: None, stopped: Callable[[], bool]) -> Iterator[str]:
    raise ColorpipeError("not now")


def done(_: None, stopped: Callable[[], bool]) -> Iterator[str]:
    yield "done"


def where(_: None, numbers: Iterator[int]) -> Iterator[int]:
    for _number in numbers:
        yield os.getpid()


def results(held: HoldingProcess[None], function=quick, count: int = 3) -> list[int]:
    return list(held.map_in_order(function, range(count), failed=lambda _: -1))


def test_a_stop_is_heard_while_results_come_without_a_pause() -> None:
    seen: list[int] = []
    with HoldingProcess(nothing) as held:
        for number in held.map_in_order(
            quick, range(5000), failed=lambda _: -1, stopped=lambda: len(seen) > 2
        ):
            seen.append(number)
        assert 2 < len(seen) < 1000
        assert results(held) == [0, 1, 2]


def test_after_an_error_it_works_again() -> None:
    with HoldingProcess(nothing) as held:
        with pytest.raises(ColorpipeError, match="not 0"):
            results(held, refusing)
        assert results(held) == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(ColorpipeError, match="not now"):
                list(held.run(refused))
            assert list(held.run(done)) == ["done"]


def test_one_that_was_killed_while_it_had_nothing_to_do_is_replaced() -> None:
    with HoldingProcess(nothing) as held:
        (first,) = results(held, where, 1)
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        (second,) = results(held, where, 1)
        assert second != first


def test_what_nobody_takes_does_not_go_on() -> None:
    with HoldingProcess(nothing) as held:
        left = held.map_in_order(quick, range(5000), failed=lambda _: -1)
        assert next(left) == 0
        del left
        assert results(held) == [0, 1, 2]
