import os
import signal
import threading

import pytest

from pipeline.files.interruptions import interruptions, sigterm_as_ctrl_c


@pytest.fixture(autouse=True)
def unhandled_sigterm():
    """Handle SIGTERM as a new process does: Ray leaves its own handler in the process it ran in."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_first_ctrl_c_asks_and_the_second_stops():
    before = signal.getsignal(signal.SIGINT)
    with interruptions() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_asks_too():
    with interruptions() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested


def test_sigterm_ends_a_block_that_clears_up():
    cleared = []
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleared.append(True)
    assert cleared
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_stays_what_it_is_where_it_is_handled():
    with interruptions() as stop, sigterm_as_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested


def test_it_does_nothing_outside_the_main_thread():
    seen = []

    def work():
        with interruptions() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
