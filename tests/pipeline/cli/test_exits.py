"""Exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import films
import pytest
import stand_ins

import pipeline
from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.files.interruptions import ENDING

# What the documentation promises.
DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
PROJECT = Path(pipeline.__file__).parents[1]

Run = Callable[..., int]
Replace = Callable[..., Any]


def test_each_failed_input_is_named_and_the_exit_code_is_1(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("colorize", [Failure("a.jpg", "damaged"), Failure("b.png", "not an image")])
    assert run("colorize", "in", "out") == SOME_FAILED
    assert capsys.readouterr().err == (
        "colorpipe: a.jpg: damaged\ncolorpipe: b.png: not an image\n"
    )


def test_a_bad_film_fails_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = stand_ins.generator(tmp_path / "generator.safetensors")
    for name in ("a.mkv", "c.mkv"):
        films.write_film(tmp_path / "in" / name, codec="libx264", times=range(0, 240, 40))
    films.copy(tmp_path / "in" / "a.mkv", tmp_path / "in" / "b.mp4", films.ENCRYPTED)
    assert run("colorize", "in", "out", "--model", str(model)) == SOME_FAILED
    assert "colorpipe: b.mp4: its pictures are encrypted" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mkv", "c.mkv"]


def test_no_failure_is_exit_code_0(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("colorize", [])
    assert run("colorize", "in", "out") == DONE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ColorpipeError("There is no model; train one."), NOTHING_DONE, "There is no model;"),
        (OSError(28, "No space left", "a.png"), NOTHING_DONE, ": No space left (a.png).\n"),
        (StoppedError("Stopped after epoch 3."), STOPPED, "Stopped after epoch 3."),
        (KeyboardInterrupt(), STOPPED, "Stopped."),
    ],
)
def test_an_expected_error_is_a_sentence_and_an_exit_code(
    *,
    run: Run,
    stand_in: Replace,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    stand_in("colorize", error)
    assert run("colorize", "in", "out") == code
    written = capsys.readouterr().err
    assert written.startswith("colorpipe: ")
    assert said in written
    assert "Traceback" not in written


@pytest.mark.parametrize("number", ENDING)
def test_what_ends_a_command_leaves_no_file_half_written(tmp_path: Path, number: int) -> None:
    code = (
        "import os, signal, sys\n"
        # Whoever runs the tests may ignore it, as `nohup` does.
        f"signal.signal({int(number)}, signal.SIG_DFL)\n"
        "import stages.colorize\n"
        "from pathlib import Path\n"
        "from pipeline import cli\n"
        "from pipeline.files.outputs import new_file\n"
        "def colorize(*_, **__):\n"
        "    with new_file(Path('colored.jpg')):\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "stages.colorize.colorize = colorize\n"
        "sys.argv[1:] = ['colorize', 'in', 'out']\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (STOPPED, "colorpipe: Stopped.\n")
    assert list(tmp_path.iterdir()) == []


def test_debug_adds_the_traceback(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("colorize", ColorpipeError("There is no model."))
    assert run("--debug", "colorize", "in", "out") == NOTHING_DONE
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert written.endswith("colorpipe: There is no model.\n")


def test_a_bug_keeps_its_traceback(run: Run, stand_in: Replace) -> None:
    stand_in("colorize", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run("colorize", "in", "out")


def test_characters_that_the_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import stages.colorize\n"
        "from pipeline import cli\n"
        "from pipeline.errors import Failure\n"
        "stages.colorize.colorize = lambda *_, **__: [Failure('\\u5149.jpg', 'damaged')]\n"
        "sys.argv[1:] = ['colorize', 'in', 'out']\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "cp1252"},
        check=False,
        capture_output=True,
    )
    assert done.returncode == SOME_FAILED
    assert done.stderr.splitlines() == [b"colorpipe: \\u5149.jpg: damaged"]
