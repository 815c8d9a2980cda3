"""How a command ends: exit codes, and one sentence in place of a traceback."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence

import typer

from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.files.interruptions import ending_as_ctrl_c
from pipeline.files.outputs import reason_of

DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
"""Exit codes: all done; some inputs failed, the others are done; nothing was done; interrupted."""


@contextlib.contextmanager
def errors_as_sentences(debug: bool) -> Iterator[None]:
    """Print an expected error as one sentence on standard error and exit with its code.

    Any other error is a bug, and keeps its traceback. SIGTERM and the end of the terminal stop a
    command as Ctrl-C does.
    """
    try:
        with ending_as_ctrl_c():
            yield
    except (ColorpipeError, OSError, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        stopped = isinstance(error, (StoppedError, KeyboardInterrupt))
        said = str(error)
        if isinstance(error, OSError):
            said = f"The system refused what was to be done: {reason_of(error)}."
        print(f"colorpipe: {said or 'Stopped.'}", file=sys.stderr)
        raise typer.Exit(STOPPED if stopped else NOTHING_DONE) from error


def report_failures(failures: Sequence[Failure] | None) -> None:
    """Name every input that failed on standard error; if there is one, exit with its code."""
    for failure in failures or ():
        print(f"colorpipe: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(SOME_FAILED)
