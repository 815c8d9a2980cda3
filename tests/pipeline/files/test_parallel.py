import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.files import parallel
from pipeline.files.parallel import AHEAD, CHUNK, cores, map_in_order


def _square(n: int) -> tuple[int, int]:
    return n * n, os.getpid()


def _fail_at_100(n: int) -> int:
    if n == 100:
        raise OSError(28, "No space left on device", "photo.png")
    return n


def _die_at_100(n: int) -> int:
    if n == 100:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def _write_pid(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(0.05)


@pytest.mark.parametrize("count", [0, 1, 40, 1000])
def test_results_come_in_the_order_of_the_inputs(count: int) -> None:
    results = list(map_in_order(_square, range(count), workers=3))
    assert [value for value, _ in results] == [n * n for n in range(count)]


def test_many_inputs_are_shared_out_and_few_are_not() -> None:
    assert os.getpid() not in {pid for _, pid in map_in_order(_square, range(1000), workers=2)}
    assert {pid for _, pid in map_in_order(_square, range(10), workers=2)} == {os.getpid()}


def _frozen(_: int) -> int:
    return gc.get_freeze_count()


def test_nobody_looks_for_garbage_in_what_was_there_before_the_fork() -> None:
    assert min(map_in_order(_frozen, range(100), workers=2)) > 10_000
    assert gc.get_freeze_count() == 0


def test_inputs_are_read_a_bounded_number_ahead() -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = map_in_order(_square, endless(), workers=2)
    for _ in range(5 * CHUNK):
        next(results)
    results.close()
    assert read <= 5 * CHUNK + 2 * AHEAD * CHUNK + parallel.FEW + CHUNK


def test_slow_inputs_are_handed_over_one_at_a_time(tmp_path: Path) -> None:
    list(map_in_order(_log_turn, [(tmp_path, n) for n in range(80)], workers=2))
    turns = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    workers = [path.read_text() for path in turns[-8:]]
    # In chunks of more, one worker would do all of these while the other has nothing to do.
    assert len(set(workers)) == 2


def test_a_few_slow_inputs_keep_all_workers_busy(tmp_path: Path) -> None:
    turns = [(tmp_path, n) for n in range(parallel.FEW + 4)]
    list(map_in_order(_log_turn, turns, workers=8))
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 8


def _log_turn(turn: tuple[Path, int]) -> None:
    folder, number = turn
    (folder / str(number)).write_text(str(os.getpid()))
    time.sleep(0.04)


def test_an_error_in_a_worker_arrives_as_it_is() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        list(map_in_order(_fail_at_100, range(1000), workers=2))
    assert caught.value.filename == "photo.png"


def test_a_killed_worker_is_a_sentence() -> None:
    with pytest.raises(ColorpipeError, match="worker process was killed"):
        list(map_in_order(_die_at_100, range(1000), workers=2))


def _die_at_some(n: int) -> tuple[int, int]:
    if n in {0, 100, 101, 999}:
        os.kill(os.getpid(), signal.SIGKILL)
    return n, os.getpid()


def test_an_input_that_kills_workers_is_given_up_and_the_rest_done() -> None:
    results = map_in_order(_die_at_some, range(1000), workers=2, failed=lambda n: (-n, 0))
    numbers = [n for n, _ in results]
    assert numbers == [-n if n in {0, 100, 101, 999} else n for n in range(1000)]
    assert gc.get_freeze_count() == 0


def _die_once(turn: tuple[Path, int]) -> int:
    mark, n = turn
    if n == 100 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_an_input_whose_worker_was_killed_once_gets_another_try(tmp_path: Path) -> None:
    turns = ((tmp_path / "mark", n) for n in range(300))
    assert list(map_in_order(_die_once, turns, workers=2)) == list(range(300))


def test_after_a_worker_was_killed_several_work_again(tmp_path: Path) -> None:
    turns = [(tmp_path, n) for n in range(100)]
    list(map_in_order(_log_turn_or_die, turns, workers=2, failed=lambda _: None))
    assert len({(tmp_path / str(n)).read_text() for n in range(92, 100)}) == 2


def _log_turn_or_die(turn: tuple[Path, int]) -> None:
    if turn[1] == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    _log_turn(turn)


def _die_and_fail(n: int) -> int:
    if n == 100:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 103:
        raise ValueError("the number is 103")
    return n


def test_an_error_beside_a_killed_worker_arrives_as_it_is() -> None:
    with pytest.raises(ValueError, match="103"):
        list(map_in_order(_die_and_fail, range(1000), workers=2, failed=lambda n: -n))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = os.fork()
    if parent == 0:
        list(map_in_order(_write_pid, (tmp_path / str(n) for n in range(100_000)), workers=2))
        os._exit(0)
    workers = _until(lambda: {int(p.read_text() or 0) for p in tmp_path.iterdir()} - {0}, 2)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    _until(lambda: {0} if not any(_runs(pid) for pid in workers) else set(), 1)


def _until(look: "object", count: int) -> set[int]:
    """Look again and again until there are ``count`` results; give up after ten seconds."""
    for _ in range(1000):
        found = look()
        if len(found) >= count:
            return found
        time.sleep(0.01)
    raise AssertionError("waited for ten seconds in vain")


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1
