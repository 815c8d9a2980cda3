"""The project's own rules: dependencies, set-up, and which module may know what."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from scratch import PROJECT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SOURCES = sorted(
    path.relative_to(PROJECT)
    for package in ("pipeline", "stages", "comparison")
    for path in (PROJECT / package).rglob("*.py")
)
TESTS = sorted(path.relative_to(PROJECT) for path in (PROJECT / "tests").rglob("*.py"))
TEXTS = {".py", ".toml", ".yaml", ".yml", ".md", ".txt", ".cfg", ".sh", ""}


def read(name: str | Path) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def direct() -> Iterator[tuple[str, str]]:
    """Each direct dependency as it stands in pyproject.toml, and the comment behind it."""
    # Line by line: tomllib came with Python 3.11, and leaves comments out.
    text = read("pyproject.toml")
    own = text.partition("dependencies = [\n")[2].partition("\n]")[0]
    extras = text.partition("[project.optional-dependencies]\n")[2].partition("\n\n[")[0]
    for line in (own + "\n" + extras).splitlines():
        if re.fullmatch(r"\w+ = \[|\]", line) or line.lstrip().startswith('"colorpipe['):
            continue
        found = re.fullmatch(r'    "([^"]+)",\s*(?:#\s*(.*))?', line)
        assert found, f"pyproject.toml should have one dependency and its comment here: {line}"
        yield found[1], found[2] or ""


DIRECT = dict(direct())


def locked(python: str) -> dict[str, Version]:
    """The versions of constraints.txt that hold for a Python on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found: dict[str, Version] = {}
    for line in read("constraints.txt").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is locked twice for Python {python}"
            (exact,) = requirement.specifier
            assert exact.operator == "==", text
            found[name] = Version(exact.version)
    return found


# Dependencies


@pytest.mark.parametrize("requirement", DIRECT)
def test_a_direct_dependency_says_what_it_is_for(requirement: str) -> None:
    assert DIRECT[requirement]


@pytest.mark.parametrize("requirement", DIRECT)
def test_a_direct_dependency_s_range_is_open_and_holds_the_locked_version(
    requirement: str,
) -> None:
    wanted = Requirement(requirement)
    assert {part.operator for part in wanted.specifier} == {">="}
    for python in PYTHONS:
        version = locked(python)[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{version} for Python {python}"


def test_what_is_imported_is_a_direct_dependency() -> None:
    stated = {canonicalize_name(Requirement(text).name) for text in DIRECT}
    origins = importlib.metadata.packages_distributions()
    for path in [*SOURCES, *TESTS]:
        for package in imports(path) & origins.keys():
            names = {canonicalize_name(name) for name in origins[package]}
            # pydantic pins pydantic-core to one version: it is a part of it.
            known = stated | {"colorpipe", "pydantic-core"}
            assert names & known, f"{path} imports {package}"


def test_no_address_is_locked_in() -> None:
    assert "://" not in read("constraints.txt")
    assert "--" not in read("constraints.txt")


# Set-up


@pytest.mark.parametrize("target", ["install", "run", "compare", "test", "check", "lock"])
def test_make_has_its_targets_and_explains_them(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=PROJECT, check=True, capture_output=True)
    told = subprocess.run(["make"], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert f"make {target} " in told.stdout


def test_make_refuses_a_python_that_is_too_old_with_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check of an old Python comes to
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(read(name))
    done = subprocess.run(
        ["make", "install", f"PYTHON={old}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "colorpipe needs Python 3.10 to 3.13" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_checks_need_no_network() -> None:
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "mypy"}


@pytest.mark.parametrize("project", [".", "comparison"])
def test_dvc_asks_nobody_on_the_network(project: str) -> None:
    config = configparser.ConfigParser()
    config.read_string(read(f"{project}/.dvc/config"))
    core = {key.strip(): value for key, value in config["core"].items()}
    assert core["analytics"] == "false"
    assert core["check_update"] == "false"


# Who knows what


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports, and the project's modules in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(read(path))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        found |= {name.partition(".")[0] for name in names} | set(names)
    return found


def who(package: str) -> set[str]:
    return {path.as_posix() for path in SOURCES if package in imports(path)}


def test_only_the_command_line_knows_typer_and_only_dvc_yaml_knows_dvc() -> None:
    assert {Path(path).parent.as_posix() for path in who("typer")} == {"pipeline/cli"}
    assert who("click") == who("dvc") == who("dvclive") == set()


def test_arrows_point_from_the_command_line_to_stages_to_the_library() -> None:
    above = {"comparison/__main__.py", "comparison/photos.py", "comparison/training.py"}
    assert who("stages") == {"pipeline/cli/commands.py", *above}
    assert {path.partition("/")[0] for path in who("comparison")} == {"comparison"}
    assert who("pipeline.cli") == {"pipeline/__main__.py"}


def calls(path: Path) -> set[str]:
    """The functions that a file calls, as it calls them: "Image.open", "cv2.imread"."""
    tree = ast.parse(read(path))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_images_opens_a_stranger_s_image() -> None:
    decoders = {"Image.open", "cv2.imread", "cv2.imdecode", "io.imread", "plt.imread"}
    assert {path.as_posix() for path in SOURCES if calls(path) & decoders} == {
        "pipeline/imaging/decode.py"
    }


def test_a_file_tells_one_story() -> None:
    assert [path for path in SOURCES if len(read(path).splitlines()) > 400] == []


def test_nothing_points_outside_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    home = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work)/\w")
    for name in filter(None, tracked):
        path = PROJECT / name
        if path.is_file() and path.suffix in TEXTS:
            assert not home.search(read(name)), name
