"""Options that are made from the sections of params.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline import cli
from pipeline.params import ColorizeParams, Params, ResizeParams

DONE, NOTHING_DONE = 0, 2
STAGES = tuple(Params.model_fields)

Run = Callable[..., int]
Replace = Callable[..., Any]


def options_of(stage: str) -> dict[str, Any]:
    group: Any = typer.main.get_command(cli.app)
    return {flag: option for option in group.commands[stage].params for flag in option.opts}


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_is_an_option_with_its_description(stage: str) -> None:
    options = options_of(stage)
    for key, field in type(getattr(Params(), stage)).model_fields.items():
        assert options[f"--{key.replace('_', '-')}"].help.startswith(field.description)


def test_help_shows_the_choices_of_an_option() -> None:
    options = options_of("train")
    assert options["--keep"].metavar == "[last|best]"
    assert options["--precision"].metavar == "[auto|bfloat16|float32]"
    assert options["--init"].metavar == "TEXT"
    assert options["--recipe"].metavar == "NAME"
    assert "One of: colorpipe, landscape-rgb, dilated-unet" in options["--recipe"].help


def test_without_a_file_the_defaults_are_used(run: Run, stand_in: Replace) -> None:
    resize = stand_in("resize")
    assert run("resize") == DONE
    assert resize.params() == ResizeParams()


def test_the_command_line_wins_over_params_yaml(run: Run, stand_in: Replace) -> None:
    resize = stand_in("resize")
    Path("params.yaml").write_text("resize: {size: 64, mode: pad}\n")
    assert run("resize", "--size", "32") == DONE
    assert resize.params() == ResizeParams(size=32, mode="pad")


def test_another_file_is_read_instead_of_params_yaml(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    resize = stand_in("resize")
    Path("params.yaml").write_text("resize: {size: 64, mode: pad}\n")
    Path("other.yaml").write_text("resize: {size: 80}\n")
    assert run("resize", "--params", "other.yaml", "--mode", "stretch") == DONE
    assert resize.params() == ResizeParams(size=80, mode="stretch")
    assert run("resize", "--params", "none.yaml") == NOTHING_DONE
    assert capsys.readouterr().err == "colorpipe: There is no file of parameters none.yaml.\n"
    assert len(resize) == 1


def test_switches_numbers_and_lists_reach_the_stage_typed(run: Run, stand_in: Replace) -> None:
    scrape = stand_in("scrape")
    given = ("--no-safe-search", "--limit", "7", "--timeout", "2.5", "--allow-hosts", "localhost")
    assert run("scrape", *given, "--path", "photos") == DONE
    params = scrape.params()
    assert (params.safe_search, params.limit, params.timeout) == (False, 7, 2.5)
    assert params.allow_hosts == ("localhost",)
    assert params.path == Path("photos")


def test_a_mapping_is_given_as_key_value(run: Run, stand_in: Replace) -> None:
    train = stand_in("train")
    Path("params.yaml").write_text("train: {options: {clip: 1.0}}\n")
    assert run("train", "--options", "ema=0.9", "--options", "lambda_l1=10") == DONE
    assert train.params().options == {"clip": 1.0, "ema": 0.9, "lambda_l1": 10}


def test_a_path_implies_a_folder_unless_the_source_reads_it(run: Run, stand_in: Replace) -> None:
    scrape = stand_in("scrape")
    assert run("scrape", "--path", "photos") == DONE
    assert run("scrape", "--path", "photos", "--source", "places365") == DONE
    Path("params.yaml").write_text("scrape: {source: urls}\n")
    assert run("scrape", "--path", "list.txt") == DONE
    assert [params.source for _, params in scrape] == ["folder", "places365", "urls"]


def test_categories_imply_a_search_unless_a_source_is_given(run: Run, stand_in: Replace) -> None:
    scrape = stand_in("scrape")
    Path("params.yaml").write_text("scrape: {source: folder}\n")
    assert run("scrape", "--categories", "other.txt") == DONE
    assert run("scrape", "--categories", "other.txt", "--source", "sample") == DONE
    assert [arguments[1].source for arguments in scrape] == ["bing", "sample"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--size", "big"), "--size is 'big', but must be a whole number in digits"),
        (("--size", "2"), "--size is '2', but must be a whole number from 16 to"),
        (("--mode", "squash"), "--mode is 'squash', but must be 'crop', 'stretch'"),
    ],
)
def test_a_wrong_value_is_a_sentence(
    *,
    run: Run,
    stand_in: Replace,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    resize = stand_in("resize")
    assert run("resize", *arguments) == NOTHING_DONE
    written = capsys.readouterr()
    assert written.out == ""
    assert sentence in written.err
    assert "Traceback" not in written.err
    assert resize == []


def test_a_wrong_key_in_params_yaml_stops_every_stage(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    resize = stand_in("resize")
    Path("params.yaml").write_text("train: {epoch: 3}\n")
    assert run("resize") == NOTHING_DONE
    assert "colorpipe: params.yaml: 'train.epoch' is not a known key" in capsys.readouterr().err
    assert resize == []


def test_colorize_ignores_the_rest_of_another_project_s_file(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    colorize = stand_in("colorize", [])
    Path("params.yaml").write_text("train: {lr: 0.1}\nmodel: big\ncolorize: {strength: 0.5}\n")
    assert run("colorize", "in", "out") == DONE
    assert colorize.params() == ColorizeParams(strength=0.5)
    # A file that is named is meant to be colorpipe's.
    assert run("colorize", "in", "out", "--params", "params.yaml") == NOTHING_DONE
    assert "'train.lr' is not a known key" in capsys.readouterr().err
    Path("params.yaml").write_text("colorize: {strong: 0.5}\n")
    assert run("colorize", "in", "out") == NOTHING_DONE
    assert "'colorize.strong' is not a known key" in capsys.readouterr().err
    assert len(colorize) == 1


def test_null_can_be_given_where_the_file_may_have_it(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    colorize = stand_in("colorize", [])
    Path("params.yaml").write_text("colorize: {size: 512}\n")
    assert run("colorize", "in", "out", "--size", "null") == DONE
    assert colorize.params().size is None
    assert run("colorize", "in", "out", "--strength", "null") == NOTHING_DONE
    assert "--strength is 'null', but must be a number from 0 to 1.5." in capsys.readouterr().err


def test_a_missing_extra_is_a_sentence_that_names_it(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("scrape", ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp"))
    assert run("scrape") == NOTHING_DONE
    assert capsys.readouterr().err == (
        "colorpipe: scrape needs aiohttp, which is not installed; install it with: pip"
        " install 'colorpipe[scrape]'.\n"
    )


def test_the_shell_completes_the_choices_of_an_option(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_COLORPIPE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_CWORD", "3")
    for typed, choices in (("", ["auto", "bfloat16", "float32"]), ("bf", ["bfloat16"])):
        monkeypatch.setenv("COMP_WORDS", f"colorpipe train --precision {typed}")
        assert run() == DONE
        assert capsys.readouterr().out.split() == choices
