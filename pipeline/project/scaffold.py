"""The files of a new project, made from those of this repository: there is one table of stages.

The wheel carries the repository's ``dvc.yaml``, ``params.yaml`` and the rest beside this module. In
a project of its own there is no code that a stage could depend on: there every stage depends on the
version of colorpipe instead, which a stage of its own writes down.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file

COPIED = ("params.yaml", "cats.txt", ".gitignore", ".dvcignore")
"""The repository's files that a project has as they are, but for the source in the parameters."""

MARK = "# Made by `colorpipe init`"
VERSION = "version.txt"
"""What every stage of a project depends on, in place of code."""

_HEAD = f"""\
{MARK}: from photos found to photos colorized. `dvc repro` runs what is out of date.
#
# A stage depends on what it reads, on its own section of params.yaml and on the version of
# colorpipe. Everything here may be changed.

stages:
  version:
    desc: The version of colorpipe; if it is another than before, all stages run again
    cmd: colorpipe --version > {VERSION}
    always_changed: true
    outs:
      - {VERSION}:
          cache: false

"""
_README = """\
# Colors for black-and-white photos

    dvc repro                                  # run what is out of date, from photos to colors
    dvc metrics show                           # how close the colors are
    colorpipe colorize old-photos/ colorized/  # color photos with what was trained here

    git add . && git commit -m "A new project" # `dvc exp run` needs a commit to start from
    dvc exp run -S train.epochs=2              # an experiment: another value for one run

`params.yaml` has every parameter with the reason for its default; `scrape.source` says where photos
come from. `data/inbox` is for photos of your own, in a folder for each category. The figures and a
gallery are in `reports/evaluate/report.html`. `colorpipe doctor` says what this machine has.
Commit `dvc.lock` and `split.lock` with your changes; `dvc push` shares data and models.
"""
_OF_CODE = re.compile(r" +- (?:stages|pipeline)/.*\n| +- models/colorpipe\.safetensors\n")
_DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"


def create_project(folder: Path, source: str | None = None, path: Path | None = None) -> list[str]:
    """Make a git and DVC repository with the whole pipeline in a folder, which may have files.

    Nothing that is there is written over. A second time only what is missing is added.

    Args:
        folder: is made if it is missing.
        source: for ``scrape.source``; None is the default, the sample.
        path: for ``scrape.path``; None is the default.

    Returns:
        The files that were written, relative to ``folder``.

    Raises:
        ColorpipeError: the folder has a pipeline that is not of `colorpipe init`, a source is given
            for a project that has its parameters, or git or DVC is missing or fails.
    """
    if folder.exists() and not folder.is_dir():
        raise ColorpipeError(f"{folder} is a file; name a folder for the project.")
    contents = project_files(source, path)
    _require_room(folder, contents, asked=source is not None or path is not None)
    _require_tools()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in contents.items():
        if not (folder / name).exists():
            with new_file(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(name)
    # Afterwards: DVC would write a .dvcignore of its own.
    _make_repositories(folder)
    return written


def project_files(source: str | None = None, path: Path | None = None) -> dict[str, str]:
    """Return what a new project consists of: names, with slashes, and texts."""
    files = {"dvc.yaml": _pipeline(_own("dvc.yaml"))}
    files |= {name: _own(name) for name in COPIED}
    if source is not None:
        files["params.yaml"] = _with_value(files["params.yaml"], "source", source)
    if path is not None:
        files["params.yaml"] = _with_value(
            files["params.yaml"], "path", json.dumps(str(path), ensure_ascii=False)
        )
    files["split.lock"] = "category,name,seed,hash\n"
    files[".gitattributes"] = "# Rows are only added.\nsplit.lock merge=union\n"
    # A folder that is there, for the stage depends on it; git is to take none of its photos.
    files["data/inbox/.gitignore"] = "*/\n"
    files["README.md"] = _README
    return files


def missing_ignores(folder: Path) -> list[str]:
    """Return the lines that the ``.gitignore`` of a project lacks: it may be older than that."""
    there = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    lines = _own(".gitignore").splitlines()
    return [line for line in lines if line and not line.startswith("#") and line not in there]


def _pipeline(repository: str) -> str:
    """Turn the repository's ``dvc.yaml`` into that of a project without code."""
    stages = repository.partition("\nstages:\n")[2]
    stages = _OF_CODE.sub("", stages)
    stages = stages.replace("    deps:\n", f"    deps:\n      - {VERSION}\n")
    return _HEAD + stages.replace("python -m pipeline ", "colorpipe ")


def _with_value(params: str, key: str, value: str) -> str:
    """Give a key of the section ``scrape`` another value; its comment stays."""
    return re.sub(
        rf"^(  {key}: )\S+", lambda found: found[1] + value, params, count=1, flags=re.MULTILINE
    )


def _own(name: str) -> str:
    """Return a file that the wheel carries beside this module, or the checkout at its top."""
    here = Path(__file__).parent
    for path in (here / "template" / name.removeprefix("."), here.parents[1] / name):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ColorpipeError(f"colorpipe's own {name} is missing; install colorpipe again.")


def _require_room(folder: Path, contents: dict[str, str], *, asked: bool) -> None:
    pipeline = folder / "dvc.yaml"
    if pipeline.exists():
        if not pipeline.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            raise ColorpipeError(
                f"{pipeline} is there already, and not of `colorpipe init`; name another folder."
            )
        if asked:
            raise ColorpipeError(
                f"{folder} is a project already; set scrape.source and scrape.path in"
                f" {folder / 'params.yaml'}."
            )
        return
    # Without the pipeline, what a stage would read is somebody else's.
    for name in ("params.yaml", "cats.txt", "split.lock"):
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") != contents[name]:
            raise ColorpipeError(f"{path} is there already; move it away, or name another folder.")


def _require_tools() -> None:
    if shutil.which("git") is None:
        raise ColorpipeError("A project needs git, which is not installed; install it first.")
    try:
        importlib.metadata.version("dvc")
    except importlib.metadata.PackageNotFoundError as error:
        raise ColorpipeError(
            "A project needs DVC, which is not installed; install what its stages need with: pip"
            " install 'colorpipe[dvc,evaluate,scrape,train]'."
        ) from error


def _make_repositories(folder: Path) -> None:
    inside = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if inside.returncode:
        _run(folder, "git", "init", "--quiet")
        top = folder
    else:
        top = Path(inside.stdout.strip())
    if (folder / ".dvc").exists():
        return
    of_a_part = [] if top.resolve() == folder.resolve() else ["--subdir"]
    # With --quiet it does not even say why it fails.
    _run(folder, sys.executable, "-m", "dvc", "init", *of_a_part)
    # Projects ask nobody on the network unless their owner wants it.
    with (folder / ".dvc/config").open("a", encoding="utf-8") as config:
        config.write(_DVC_CONFIG)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(
            Path(command[0]).name if i == 0 else word for i, word in enumerate(command)
        )
        raise ColorpipeError(
            f"`{words}` failed in {folder}: {_reason(done.stderr or done.stdout)}."
        )


def _reason(said: str) -> str:
    """Find in what git or DVC printed why it failed, on one line and without a full stop."""
    lines = [line.strip() for line in said.strip().splitlines()]
    # DVC names the error, and behind an empty line where help is to be had; git ends with it.
    if errors := [n for n, line in enumerate(lines) if line.startswith("ERROR: ")]:
        found = itertools.takewhile(bool, lines[errors[0] :])
        return " ".join(found).removeprefix("ERROR: ").rstrip(".")
    return lines[-1].rstrip(".") if lines else "it said nothing"
