import os
import signal
import threading

import pytest

from pipeline.files.interruptions import ENDING, ending_as_ctrl_c, interruptions


@pytest.fixture(autouse=True)
def unhandled_signals():
    """Handle signals as a new process does: Ray leaves its own handler in the process it ran in."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_ctrl_c_asks_and_the_second_stops():
    before = signal.getsignal(signal.SIGINT)
    with interruptions() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", ENDING)
def test_what_ends_a_command_asks_too(number):
    with interruptions() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", ENDING)
def test_what_ends_a_command_ends_a_block_that_clears_up(number):
    cleared = []
    with pytest.raises(KeyboardInterrupt), ending_as_ctrl_c():
        try:
            os.kill(os.getpid(), number)
        finally:
            cleared.append(True)
    assert cleared
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_stays_what_it_is_where_it_is_handled(number):
    with interruptions() as stop, ending_as_ctrl_c():
        os.kill(os.getpid(), number)
    assert stop.requested


@pytest.mark.parametrize("number", ENDING[1:])
def test_under_nohup_the_end_of_a_terminal_means_nothing(number):
    signal.signal(number, signal.SIG_IGN)
    with ending_as_ctrl_c(), interruptions() as stop:
        os.kill(os.getpid(), number)
    assert not stop.requested
    assert signal.getsignal(number) is signal.SIG_IGN


def test_it_does_nothing_outside_the_main_thread():
    seen = []

    def work():
        with interruptions() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
