"""The table of subcommands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import pipeline
from pipeline.models.pretrained import pretrained_weights
from pipeline.recipes import RECIPES

STAGES = ("scrape", "clean", "resize", "split", "train", "evaluate", "colorize")
DONE, NOTHING_DONE = 0, 2
PROJECT = Path(pipeline.__file__).parents[1]

Run = Callable[..., int]
Replace = Callable[..., Any]


@pytest.mark.parametrize("name", [*STAGES, "app", "export", "list", "recipes", "init", "doctor"])
def test_every_command_has_help(run: Run, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == DONE
    assert f"Usage: colorpipe {name}" in capsys.readouterr().out


def test_without_arguments_the_commands_are_listed(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    written = capsys.readouterr()
    assert all(stage in written.out + written.err for stage in STAGES)


def test_the_version_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == DONE
    assert capsys.readouterr().out == f"colorpipe {pipeline.__version__}\n"


@pytest.mark.parametrize("arguments", [("resize", "--sise", "32"), ("resise",)])
def test_a_misspelled_command_or_option_is_refused(
    run: Run, stand_in: Replace, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    resize = stand_in("resize")
    assert run(*arguments) == NOTHING_DONE
    assert arguments[-2 if len(arguments) > 1 else 0] in capsys.readouterr().err
    assert resize == []


def test_a_number_that_is_none_is_a_sentence(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (32, 32), 99).save(tmp_path / "a.png")
    where = (str(tmp_path / "a.png"), str(tmp_path / "out"))
    for option, value, allowed in (
        ("--duration", "inf", "more than 0 seconds"),
        ("--duration", "0", "more than 0 seconds"),
        ("--start", "-1", "at least 0 seconds"),
        ("--steady", "7", "from 0 to 1"),
    ):
        assert run("colorize", *where, option, value) == NOTHING_DONE
        said = capsys.readouterr().err
        assert said == f"colorpipe: {option} is {float(value)}, but must be {allowed}.\n"


def test_a_project_is_made_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init", "project", "--source", "bong") == NOTHING_DONE
    assert "must be one of sample, bing" in capsys.readouterr().err
    assert not Path("project").exists()
    assert run("init", "my project", "--source", "folder", "--path", "photos") == DONE
    written = capsys.readouterr().out
    assert "dvc.yaml" in written
    assert "cd 'my project' && dvc repro" in written
    assert "There is no photos yet" in written
    scrape = yaml.safe_load(Path("my project/params.yaml").read_text("utf-8"))["scrape"]
    assert (scrape["source"], scrape["path"]) == ("folder", str(Path("photos").absolute()))
    assert run("init", "my project") == DONE
    assert "nothing was changed" in capsys.readouterr().out
    Path("photos").mkdir()
    assert run("init", "with photos", "--source", "folder", "--path", "photos") == DONE
    assert "There is no" not in capsys.readouterr().out


def test_a_path_for_init_is_a_folder_on_this_computer(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, said in (("s3://bucket/photos", "reads from this computer"), ("", "path is empty")):
        assert run("init", "project", "--path", path) == NOTHING_DONE
        assert said in capsys.readouterr().err
    assert not Path("project").exists()
    assert run("init", "project", "--path", "photos") == DONE
    scrape = yaml.safe_load(Path("project/params.yaml").read_text("utf-8"))["scrape"]
    assert (scrape["source"], scrape["path"]) == ("folder", str(Path("photos").absolute()))


def test_init_says_what_git_would_take(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/.gitignore").write_text("/.venv/\n")
    for name in ("new", "old"):
        assert run("init", name) == DONE
        printed = capsys.readouterr().out.splitlines()
        assert ("/.colorpipe/" in printed) == (name == "old")
        assert "/.venv/" not in printed


def test_the_doctor_looks_at_the_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where it has to be on several lines, a path is none the less whole.
    monkeypatch.setenv("COLUMNS", "40")
    assert run("doctor") == DONE
    found = capsys.readouterr().out
    assert pipeline.__version__ in found
    assert "device" in found
    assert str(pretrained_weights()) in re.sub(r"\s", "", found)


def test_the_doctor_names_the_extra_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.project import doctor

    monkeypatch.setattr(doctor, "missing_by_extra", lambda: {"video": ["av"]})
    assert run("doctor") == DONE
    assert "'colorpipe[video]'" in capsys.readouterr().out


def test_folders_can_be_given(run: Run, stand_in: Replace) -> None:
    resize = stand_in("resize")
    assert run("resize", "--clean", "in", "--resized", "out") == DONE
    assert resize[0][:2] == (Path("in"), Path("out"))


def test_a_stage_runs_on_real_photos(run: Run) -> None:
    from skimage import data

    folder = Path("data/clean/landscape")
    folder.mkdir(parents=True)
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    assert run("resize", "--size", "48") == DONE
    with Image.open("data/resized/landscape/astronaut.png") as resized:
        assert resized.size == (48, 48)


@pytest.mark.parametrize("stage", ["colorize", "evaluate"])
def test_the_stage_chooses_the_model_if_none_is_given(
    run: Run, stand_in: Replace, stage: str
) -> None:
    calls = stand_in(stage, [])
    photos = ("in", "out") if stage == "colorize" else ()
    assert run(stage, *photos) == DONE
    assert run(stage, *photos, "--model", "pretrained") == DONE
    assert None in calls[0]
    assert [Path("pretrained")] in calls[1] or Path("pretrained") in calls[1]


def test_the_readme_has_the_same_table_of_published_systems() -> None:
    from pipeline.training.plan import describe_recipes

    readme = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", (PROJECT / "README.md").read_text("utf-8"))
    for row in describe_recipes():
        if row["origin"] != "this project":
            settings = f"{row['input']}, {row['generator']} weights, {row['epochs']} epochs"
            colors = f"{row['colors']}: {row['losses']}"
            assert f"| `{row['recipe']}` | {row['origin']} | {colors} | {settings} |" in readme


def test_shell_completion_can_be_installed(tmp_path: Path) -> None:
    # For the shell that the command runs in; a second command keeps that from becoming it.
    command = f"{sys.executable} -m pipeline --install-completion && echo done"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=PROJECT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "bash completion installed" in done.stdout
    assert list(tmp_path.glob(".bash_completions/*.sh"))


def test_python_m_pipeline_runs_the_code_of_the_current_folder(tmp_path: Path) -> None:
    # `dvc exp run --temp` works in a copy, which an installed console script would not run.
    copy = tmp_path / "copy"
    shutil.copytree(PROJECT / "pipeline", copy / "pipeline")
    with (copy / "pipeline" / "__init__.py").open("a") as module:
        module.write('\n__version__ = "of the copy"\n')
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "colorpipe of the copy\n"


def test_help_and_mistakes_answer_without_heavy_imports() -> None:
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
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"colorpipe {pipeline.__version__}\n"


def test_a_dry_run_prints_what_training_would_use_and_trains_nothing(
    run: Run, stand_in: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    train = stand_in("train")
    assert run("train", "--dry-run", "--epochs", "3") == DONE
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["train"]["options"]["width"] == 32
    assert re.search(r"\n  epochs: 3 +# given\n", printed)
    assert train == []


def test_the_recipes_are_listed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes") == DONE
    printed = capsys.readouterr().out
    assert all(name in printed for name in RECIPES)
    assert "preset" in printed
