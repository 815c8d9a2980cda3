"""The command line: options made from parameters, exit codes, sentences instead of tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

import pipeline
from pipeline import cli
from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.params import ColorizeParams, Params, ResizeParams

STAGES = ("scrape", "clean", "resize", "split", "train", "evaluate", "colorize")
# The exit codes that the documents promise.
DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
PROJECT = Path(pipeline.__file__).parents[1]


Run = Callable[..., int]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Calls(list[tuple[Any, ...]]):
    """Stands in for a stage: remembers its arguments, then answers or raises."""

    def __init__(self, outcome: object = None) -> None:
        super().__init__()
        self.outcome = outcome

    def __call__(self, *arguments: Any, **named: Any) -> object:
        self.append((*arguments, *named.values()))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def params(self) -> Any:
        (arguments,) = self
        return next(a for a in arguments if type(a).__name__.endswith("Params"))


@pytest.fixture
def resize(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr("stages.resize.resize", calls)
    return calls


def colorize_with(monkeypatch: pytest.MonkeyPatch, outcome: object) -> Calls:
    calls = Calls(outcome)
    monkeypatch.setattr("stages.colorize.colorize", calls)
    return calls


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_of_a_section_is_an_option_with_its_description(stage: str) -> None:
    group: Any = typer.main.get_command(cli.app)
    options = {flag: option for option in group.commands[stage].params for flag in option.opts}
    for key, field in type(getattr(Params(), stage)).model_fields.items():
        assert options[f"--{key.replace('_', '-')}"].help == field.description


@pytest.mark.parametrize("name", [*STAGES, "recipes"])
def test_every_command_explains_itself(
    run: Run, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--help") == DONE
    assert "Usage: colorpipe" in capsys.readouterr().out


def test_without_arguments_the_commands_are_listed(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    written = capsys.readouterr()
    assert all(stage in written.out + written.err for stage in STAGES)


def test_the_version_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == DONE
    assert capsys.readouterr().out == f"colorpipe {pipeline.__version__}\n"


def test_without_a_params_file_the_defaults_are_taken(run: Run, resize: Calls) -> None:
    assert run("resize") == DONE
    assert resize.params() == ResizeParams()


def test_params_yaml_is_read_and_the_command_line_wins(run: Run, resize: Calls) -> None:
    Path("params.yaml").write_text("resize: {size: 64, mode: pad}\n")
    assert run("resize", "--size", "32") == DONE
    assert resize.params() == ResizeParams(size=32, mode="pad")


def test_another_file_of_parameters_is_read_in_the_place_of_params_yaml(
    run: Run, resize: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").write_text("resize: {size: 64, mode: pad}\n")
    Path("other.yaml").write_text("resize: {size: 80}\n")
    assert run("resize", "--params", "other.yaml", "--mode", "stretch") == DONE
    assert resize.params() == ResizeParams(size=80, mode="stretch")
    assert run("resize", "--params", "none.yaml") == NOTHING_DONE
    assert capsys.readouterr().err == "colorpipe: There is no file of parameters none.yaml.\n"
    assert len(resize) == 1


def test_words_to_choose_from_are_shown_also_where_there_is_null() -> None:
    group: Any = typer.main.get_command(cli.app)
    options = {flag: option for option in group.commands["train"].params for flag in option.opts}
    assert options["--keep"].metavar == "[last|best]"
    assert options["--precision"].metavar == "[auto|bfloat16|float32]"
    assert options["--init"].metavar == "TEXT"


def test_folders_can_be_given(run: Run, resize: Calls) -> None:
    assert run("resize", "--clean", "in", "--resized", "out") == DONE
    assert resize[0][:2] == (Path("in"), Path("out"))


def test_switches_and_numbers_reach_the_stage_typed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls([])
    monkeypatch.setattr("stages.scrape.scrape", calls)
    given = ("--no-safe-search", "--limit", "7", "--timeout", "2.5", "--allow-hosts", "localhost")
    assert run("scrape", *given) == DONE
    params = calls.params()
    assert (params.safe_search, params.limit, params.timeout) == (False, 7, 2.5)
    assert params.allow_hosts == ("localhost",)


def test_a_stage_runs_on_real_photos(run: Run) -> None:
    folder = Path("data/clean/landscape")
    folder.mkdir(parents=True)
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    assert run("resize", "--size", "48") == DONE
    with Image.open("data/resized/landscape/astronaut.png") as resized:
        assert resized.size == (48, 48)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("resize", "--size", "big"), "'size' is 'big', but must be a valid integer"),
        (("resize", "--size", "2"), "'size' is '2', but must be greater than or equal to 16"),
        (("resize", "--mode", "squash"), "'mode' is 'squash', but must be 'crop', 'stretch'"),
    ],
)
def test_a_value_that_is_not_allowed_is_said_in_a_sentence(
    run: Run,
    arguments: tuple[str, ...],
    sentence: str,
    resize: Calls,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*arguments) == NOTHING_DONE
    written = capsys.readouterr()
    assert written.out == ""
    assert sentence in written.err
    assert "Traceback" not in written.err
    assert resize == []


@pytest.mark.parametrize("arguments", [("resize", "--sise", "32"), ("resise",)])
def test_a_misspelt_word_is_refused(
    run: Run, arguments: tuple[str, ...], resize: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == NOTHING_DONE
    assert arguments[-2 if len(arguments) > 1 else 0] in capsys.readouterr().err
    assert resize == []


def test_a_wrong_key_in_params_yaml_stops_every_stage_with_its_name(
    run: Run, resize: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").write_text("train: {epoch: 3}\n")
    assert run("resize") == NOTHING_DONE
    assert "colorpipe: params.yaml: 'train.epoch' is not a known key" in capsys.readouterr().err
    assert resize == []


def test_photos_beside_another_project_s_params_yaml_are_colorized(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = colorize_with(monkeypatch, [])
    Path("params.yaml").write_text("train: {lr: 0.1}\nmodel: big\ncolorize: {strength: 0.5}\n")
    assert run("colorize", "in", "out") == DONE
    assert calls.params() == ColorizeParams(strength=0.5)
    # A file that is named is meant to be this project's.
    assert run("colorize", "in", "out", "--params", "params.yaml") == NOTHING_DONE
    assert "'train.lr' is not a known key" in capsys.readouterr().err
    Path("params.yaml").write_text("colorize: {strong: 0.5}\n")
    assert run("colorize", "in", "out") == NOTHING_DONE
    assert "'colorize.strong' is not a known key" in capsys.readouterr().err
    assert len(calls) == 1


def test_null_is_a_value_on_the_command_line_where_it_is_one_in_the_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = colorize_with(monkeypatch, [])
    Path("params.yaml").write_text("colorize: {size: 512}\n")
    assert run("colorize", "in", "out", "--size", "null") == DONE
    assert calls.params().size is None
    assert run("colorize", "in", "out", "--strength", "null") == NOTHING_DONE
    assert "'strength' is 'null', but must be a valid number" in capsys.readouterr().err


def test_inputs_that_failed_are_each_named_and_the_exit_code_is_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = colorize_with(
        monkeypatch, [Failure("a.jpg", "damaged"), Failure("b.png", "not an image")]
    )
    assert run("colorize", "in", "out", "--strength", "0.5") == SOME_FAILED
    assert calls.params() == ColorizeParams(strength=0.5)
    assert capsys.readouterr().err == (
        "colorpipe: a.jpg: damaged\ncolorpipe: b.png: not an image\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ColorpipeError("There is no model; train one."),
            NOTHING_DONE,
            "There is no model; train one.",
        ),
        (OSError(28, "No space left on device"), NOTHING_DONE, "No space left on device"),
        (StoppedError("Stopped after epoch 3."), STOPPED, "Stopped after epoch 3."),
        (KeyboardInterrupt(), STOPPED, "Stopped."),
    ],
)
def test_what_ends_a_stage_becomes_a_sentence_and_an_exit_code(
    *,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    colorize_with(monkeypatch, error)
    assert run("colorize", "in", "out") == code
    written = capsys.readouterr().err
    assert written.startswith("colorpipe: ")
    assert said in written
    assert "Traceback" not in written


def test_debug_shows_the_traceback_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    colorize_with(monkeypatch, ColorpipeError("There is no model."))
    assert run("--debug", "colorize", "in", "out") == NOTHING_DONE
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert written.endswith("colorpipe: There is no model.\n")


def test_a_mistake_of_the_program_s_own_is_not_hidden(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    colorize_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run("colorize", "in", "out")


def test_python_m_pipeline_runs_the_code_of_the_current_folder(tmp_path: Path) -> None:
    # dvc exp run --temp works in a copy, which an installed console script would not run.
    copy = tmp_path / "copy"
    (copy / "pipeline").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "cli.py", "errors.py", "params.py"):
        (copy / "pipeline" / name).write_text((PROJECT / "pipeline" / name).read_text())
    with (copy / "pipeline" / "__init__.py").open("a") as module:
        module.write('\n__version__ = "of the copy"\n')
    told = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "colorpipe of the copy\n"


def test_help_and_mistakes_answer_without_importing_torch() -> None:
    # One interpreter for all: torch, once imported, would show from then on.
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        f"for arguments in [[s, '--help'] for s in {STAGES!r}] + [['train', '--epochs', 'x']]:\n"
        "    sys.argv[1:] = arguments\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit:\n"
        "        pass\n"
        "heavy = {'torch', 'cv2', 'skimage', 'numpy', 'dvc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
        capture_output=True,
    )


def test_the_console_script_is_the_same_command_line() -> None:
    script = Path(sys.executable).with_name("colorpipe")
    told = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"colorpipe {pipeline.__version__}\n"


@pytest.mark.parametrize("stage", ["colorize", "evaluate"])
def test_no_model_is_left_to_the_stage_to_choose(
    run: Run, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    calls = Calls([])
    monkeypatch.setattr(f"stages.{stage}.{stage}", calls)
    photos = ("in", "out") if stage == "colorize" else ()
    assert run(stage, *photos) == DONE
    assert run(stage, *photos, "--model", "pretrained") == DONE
    assert None in calls[0]
    assert [Path("pretrained")] in calls[1] or Path("pretrained") in calls[1]
