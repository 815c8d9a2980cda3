import functools
import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import films
import numpy as np
import pytest

from pipeline.engines.pool import AHEAD, CHUNK, CHUNK_SECONDS, map_in_order, ready_to_fork
from pipeline.errors import ColorpipeError
from pipeline.files.interruptions import ENDING, ending_as_ctrl_c

PATIENCE = 30
"""Seconds after which what a test waits for is taken not to come."""


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for has not come"
        time.sleep(0.005)


def meet(folder: Path, group: int, number: int) -> int:
    """Wait until ``group`` workers have a number of the same group at once."""
    (folder / str(number)).touch()
    others = range(number - number % group, number - number % group + group)
    wait_for(lambda: all((folder / str(other)).exists() for other in others))
    return os.getpid()


def square(n: int) -> tuple[int, int]:
    return n * n, os.getpid()


@pytest.mark.parametrize("count", [0, 1, 40, 1000])
def test_results_come_in_the_order_of_the_inputs(count: int) -> None:
    results = list(map_in_order(square, range(count), workers=3))
    assert [value for value, _ in results] == [n * n for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [1, 100])
def test_no_input_is_handled_in_this_process(workers: int, count: int) -> None:
    results = map_in_order(square, range(count), workers=workers)
    assert os.getpid() not in {process for _, process in results}


def test_workers_are_forked_before_the_first_result_is_asked_for() -> None:
    # Later there may be threads, a progress bar's for example, that a fork does not bring along.
    results = map_in_order(square, range(10), workers=2)
    assert len(multiprocessing.active_children()) == 2
    assert len(list(results)) == 10
    assert not multiprocessing.active_children()


def handlers(_: object) -> object:
    return [signal.getsignal(number) for number in ENDING]


def test_workers_end_at_once_when_they_are_told_to() -> None:
    with ending_as_ctrl_c():
        [found] = map_in_order(handlers, [0], workers=1)
    # A closed terminal reaches them too, but is for their parent to handle.
    assert found == [signal.SIG_DFL, signal.SIG_IGN][: len(ENDING)]


def test_a_fork_does_not_wait_for_the_threads_of_a_film_that_was_read(tmp_path: Path) -> None:
    path = films.write_film(tmp_path / "film.mkv", codec="libx264")
    gc.disable()
    try:
        film = av.open(str(path))
        film.streams.video[0].thread_type = "AUTO"
        next(film.decode(video=0))
        in_a_circle: list[object] = [film]
        in_a_circle.append(in_a_circle)
        del film, in_a_circle
        process = multiprocessing.get_context("fork").Process(target=gc.collect)
        with ready_to_fork():
            process.start()
        process.join(PATIENCE)
        exitcode = process.exitcode
        process.kill()
    finally:
        gc.enable()
    assert exitcode == 0


def test_inputs_are_read_a_bounded_number_ahead() -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = map_in_order(square, endless(), workers=2)
    for _ in range(5 * CHUNK):
        next(results)
    results.close()
    assert read <= 5 * CHUNK + 2 * AHEAD * CHUNK + 2 * CHUNK


def test_the_first_inputs_are_shared_by_all_workers(tmp_path: Path) -> None:
    together = functools.partial(meet, tmp_path, 8)
    assert len(set(map_in_order(together, range(8), workers=8))) == 8


def slow(folder: Path, number: int) -> int:
    time.sleep(CHUNK_SECONDS)
    return meet(folder, 2, number)


def test_slow_inputs_are_handed_out_one_at_a_time(tmp_path: Path) -> None:
    # A worker that had two of a group would wait for itself.
    processes = list(map_in_order(functools.partial(slow, tmp_path), range(40), workers=2))
    assert all(one != other for one, other in zip(processes[::2], processes[1::2], strict=True))


def threads_of_opencv(_: int) -> int:
    cv2.GaussianBlur(np.zeros((500, 500, 3), np.uint8), (0, 0), 2)
    return cv2.getNumThreads()


def test_opencv_has_one_thread_in_workers_and_all_of_them_here() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        # Several times: a fork while OpenCV's threads are awake hangs its worker, one in ten.
        for _ in range(8):
            assert threads_of_opencv(0) == 3
            for threads in map_in_order(threads_of_opencv, range(2), workers=2):
                assert threads == 1
                assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def fail_at_100(n: int) -> int:
    if n == 100:
        raise OSError(28, "No space left on device", "photo.png")
    return n


def test_an_error_in_a_worker_arrives_as_it_is() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        list(map_in_order(fail_at_100, range(1000), workers=2))
    assert caught.value.filename == "photo.png"


def die_at_some(n: int) -> int:
    if n in {0, 100, 101, 999}:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_a_killed_worker_is_a_sentence() -> None:
    with pytest.raises(ColorpipeError, match="worker process was killed"):
        list(map_in_order(die_at_some, range(1000), workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_inputs_that_kill_workers_are_given_up_and_the_rest_done(workers: int) -> None:
    numbers = list(map_in_order(die_at_some, range(1000), workers, failed=lambda n: -n))
    assert numbers == [-n if n in {0, 100, 101, 999} else n for n in range(1000)]


def test_a_single_input_that_kills_its_worker_is_given_up() -> None:
    assert list(map_in_order(die_at_some, [100], failed=lambda n: -n)) == [-100]


def die_once(mark: Path, n: int) -> int:
    if n == 100 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_an_input_whose_worker_was_killed_once_is_tried_again(tmp_path: Path) -> None:
    work = functools.partial(die_once, tmp_path / "mark")
    assert list(map_in_order(work, range(300), workers=2)) == list(range(300))


def die_or_meet(folder: Path, number: int) -> int:
    if number == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(CHUNK_SECONDS)
    # What was under way with it is done by one worker alone.
    return meet(folder, 2, number) if number >= 40 else 0


def test_after_a_worker_was_killed_several_work_again(tmp_path: Path) -> None:
    work = functools.partial(die_or_meet, tmp_path)
    processes = list(map_in_order(work, range(60), workers=2, failed=lambda _: 0))[40:]
    assert len(set(processes)) == 2


def die_and_fail(n: int) -> int:
    if n == 100:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 103:
        raise ValueError("the number is 103")
    return n


def test_an_error_beside_a_killed_worker_arrives_as_it_is() -> None:
    with pytest.raises(ValueError, match="103"):
        list(map_in_order(die_and_fail, range(1000), workers=2, failed=lambda n: -n))


def write_process(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(0.05)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = os.fork()
    if parent == 0:
        list(map_in_order(write_process, (tmp_path / str(n) for n in range(100_000)), workers=2))
        os._exit(0)
    workers = set[int]()

    def have_started() -> bool:
        workers.update(int(path.read_text() or 0) for path in tmp_path.iterdir())
        return len(workers - {0}) >= 2

    wait_for(have_started)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_for(lambda: not any(runs(process) for process in workers - {0}))


def runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
