"""Progress on standard error: plain lines for logs, a bar on a terminal."""

import os
import pty
import re
import subprocess
import sys

import pytest

from pipeline.files import progress
from pipeline.files.progress import ProgressReport, track


def test_without_a_terminal_one_plain_line_reports_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressReport("Cleaning", total=3) as report:
        for _ in range(3):
            report.advance()
    written = capsys.readouterr()
    assert written.out == ""
    assert re.fullmatch(r"Cleaning: 3 of 3 photos, [0-9.]+ photos/s\n", written.err)


def test_plain_lines_come_as_often_as_the_interval_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    with ProgressReport("Training", total=2, unit="steps") as report:
        report.advance(detail="loss 0.50")
        report.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Training: 1 of 2 steps")
    # A detail stays until there is a newer one.
    assert [line.endswith("loss 0.50") for line in lines] == [True, True, True]


def test_an_unknown_total_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReport("Reading", total=None) as report:
        report.advance(5)
    assert capsys.readouterr().err.startswith("Reading: 5 photos, ")


def test_work_that_failed_does_not_report_that_it_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ZeroDivisionError), ProgressReport("Cleaning", total=1):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_track_yields_everything_in_order_and_counts_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(track(["a", "b"], "Reading", unit="files")) == ["a", "b"]
    assert capsys.readouterr().err.startswith("Reading: 2 of 2 files")
    assert list(track(iter("abc"), "Reading", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("Reading: 3 of 3 photos")


def test_on_a_terminal_there_is_a_bar_with_rate_and_detail() -> None:
    code = (
        "from pipeline.files.progress import ProgressReport\n"
        "with ProgressReport('Training', 2, 'steps') as report:\n"
        "    report.advance()\n"
        "    report.advance(detail='loss 0.50')\n"
    )
    terminal, other_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stderr=other_end,
        stdout=subprocess.PIPE,
        check=True,
    )
    os.close(other_end)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:
        pass  # Linux says that the other end is closed by an error.
    finally:
        os.close(terminal)
    assert done.stdout == b""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "2/2" in text
    assert "100%" in text
    assert "steps/s" in text
    assert "loss 0.50" in text
