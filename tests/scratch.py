"""Copies of this project in which tests run DVC as a user does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]


class Scratch:
    """A git and DVC repository that holds a copy of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        aside = folder.parent
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_", "DVC_"))
        }
        self.environment = {
            **inherited,
            # `python -m pipeline` must run with the Python that runs the tests.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # The settings of whoever runs the tests must not matter.
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(aside / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(aside / "dvc-system"),
            "DVC_SITE_CACHE_DIR": str(aside / "dvc-site"),
            "DVC_NO_ANALYTICS": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def run(self, *command: str | Path) -> str:
        """Run a command and return its standard output; if it fails, show everything it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        shown = " ".join(str(word) for word in command)
        assert done.returncode == 0, f"{shown}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def dvc(self, *arguments: str | Path) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def json(self, *arguments: str) -> Any:
        """The parsed output of a dvc command with ``--json``."""
        return json.loads(self.dvc(*arguments, "--json"))

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro` and return the stages whose commands ran."""
        return stages_run(self.dvc("repro", *arguments))

    def changed(self) -> set[str]:
        """The stages that `dvc status` reports as changed, by their own dependencies."""
        return set(self.json("status"))

    def params(self) -> dict[str, dict[str, Any]]:
        content: dict[str, dict[str, Any]] = yaml.safe_load(self.path("params.yaml").read_text())
        return content

    def set_params(self, section: str, **values: Any) -> None:
        content = self.params()
        content[section].update(values)
        self.path("params.yaml").write_text(yaml.safe_dump(content))

    def path(self, name: str) -> Path:
        return self.folder / name

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def copy(self, folder: Path) -> Scratch:
        """Copy the repository with its DVC cache."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Scratch(folder)


def stages_run(output: str) -> list[str]:
    return re.findall(r"^Running stage '(\w+)'", output, flags=re.MULTILINE)


def check_out(folder: Path) -> Scratch:
    """Copy the files of the project that git does not ignore into a new repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = PROJECT / name
        if source.is_file() or source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)
    scratch = Scratch(folder)
    scratch.git("init", "--quiet", "--initial-branch", "main")
    scratch.git("config", "user.name", "A user")
    scratch.git("config", "user.email", "user@example.org")
    scratch.commit("The project")
    return scratch
