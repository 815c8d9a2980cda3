"""Ctrl-C, SIGTERM and a closed terminal: as a request to stop, or as an end that clears up."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

ENDING = (signal.SIGTERM, *((signal.SIGHUP,) if sys.platform != "win32" else ()))
"""What ends a command besides Ctrl-C: `kill` or a service manager, and the end of its terminal."""


@dataclass
class StopRequest:
    """Whether the user asked to stop."""

    requested: bool = False


@contextlib.contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """Let :data:`ENDING` raise KeyboardInterrupt, as Ctrl-C does: Python alone clears up nothing.

    Where such a signal is handled or, as `nohup` has it, ignored already, and outside the main
    thread, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def interruptions() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C, or signal of :data:`ENDING`, into a request; a second stops at once.

    The end of a terminal is ignored where it was before, as `nohup` has it.

    Outside the main thread, where Python handles no signals, nothing is ever requested.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        stop.requested = True
        signal.signal(number, signal.default_int_handler)

    handled = {signal.SIGINT, signal.SIGTERM}
    handled |= {number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    before = {number: signal.signal(number, handle) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
