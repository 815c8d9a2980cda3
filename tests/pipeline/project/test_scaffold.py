"""A new project: its files, its stages against the repository's, and what it leaves alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from scratch import PROJECT

from pipeline.dataset.split_lock import read_lock
from pipeline.errors import ColorpipeError
from pipeline.params import Params, read_params
from pipeline.project import scaffold
from pipeline.project.scaffold import VERSION, create_project, project_files


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".git", ".dvc"} & set(path.relative_to(folder).parts)
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in a folder that did not exist."""
    folder = tmp_path_factory.mktemp("here") / "deep" / "project"
    create_project(folder)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return Path(shutil.copytree(made, tmp_path / "project"))


def test_its_stages_are_the_repository_s_without_code() -> None:
    repository = yaml.safe_load((PROJECT / "dvc.yaml").read_text("utf-8"))
    project = yaml.safe_load(project_files()["dvc.yaml"])
    version = project["stages"].pop("version")
    assert version["cmd"] == f"colorpipe --version > {VERSION}"
    assert list(project["stages"]) == list(Params.model_fields)

    def without_code(stage: dict[str, Any]) -> dict[str, Any]:
        deps = [
            name
            for name in stage["deps"]
            if not name.startswith(("stages/", "pipeline/", "models/colorpipe."))
        ]
        cmd = stage["cmd"].replace("python -m pipeline", "colorpipe")
        return {**stage, "deps": [VERSION, *deps], "cmd": cmd}

    expected = {name: without_code(stage) for name, stage in repository.pop("stages").items()}
    assert project.pop("stages") == expected
    assert project == repository


def test_it_is_a_git_and_dvc_repository_that_asks_nobody(made: Path) -> None:
    files = {name: text.encode() for name, text in project_files().items()}
    assert contents(made) == files
    assert read_params(made / "params.yaml", required=True) == Params()
    config = (made / ".dvc/config").read_text("utf-8")
    assert "analytics = false" in config
    ignored = subprocess.run(
        ["git", "check-ignore", "data/raw", "data/inbox/cats/", "models/generator.safetensors"],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    assert len(ignored) == 3


def test_of_two_branches_the_lock_keeps_the_rows_of_both(project: Path) -> None:
    def git(*arguments: str) -> None:
        user = ("-c", "user.name=A user", "-c", "user.email=user@example.org")
        subprocess.run(["git", *user, *arguments], cwd=project, check=True, capture_output=True)

    lock = project / "split.lock"
    git("add", "--all")
    git("commit", "-m", "first")
    git("tag", "first")
    for name in ("a", "b"):
        git("checkout", "-b", name, "first")
        lock.write_text(f"category,name,seed,hash\nsea,{name},0,\n")
        git("commit", "-am", name)
    git("merge", "a")
    assert sorted(row.name for row in read_lock(lock)) == ["a", "b"]


def test_a_source_and_a_path_go_into_the_parameters(tmp_path: Path) -> None:
    path = tmp_path / 'my "photos" # 1'
    (tmp_path / "params.yaml").write_text(project_files("folder", path)["params.yaml"], "utf-8")
    scrape = read_params(tmp_path / "params.yaml").scrape
    assert (scrape.source, scrape.path) == ("folder", path)


def test_a_second_time_changes_nothing_and_adds_what_is_missing(project: Path) -> None:
    (project / "params.yaml").write_text("train:\n  epochs: 3\n")
    (project / "cats.txt").unlink()
    before = contents(project)
    assert create_project(project) == ["cats.txt"]
    after = contents(project)
    assert after.pop("cats.txt") == (PROJECT / "cats.txt").read_bytes()
    assert after == before
    assert create_project(project) == []


def test_a_source_for_a_project_that_is_there_is_refused(project: Path) -> None:
    before = contents(project)
    with pytest.raises(ColorpipeError, match=r"is a project already; set scrape\.source"):
        create_project(project, "bing")
    assert contents(project) == before


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "cats.txt", "split.lock"])
def test_what_somebody_else_wrote_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ColorpipeError, match=rf"{name} is there already"):
        create_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_files_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffold, "_make_repositories", lambda folder: None)
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine")
    written = create_project(tmp_path)
    assert {*project_files()} - set(written) == {"README.md", ".gitignore"}
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_file_is_no_folder_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ColorpipeError, match="name a folder"):
        create_project(tmp_path / "file")


def test_without_git_it_says_so_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ColorpipeError, match="needs git"):
        create_project(tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_what_dvc_refuses_is_said(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("part/\n")
    with pytest.raises(ColorpipeError, match=r"dvc is ignored by your SCM tool.*to \.gitignore\.$"):
        create_project(tmp_path / "part")


def test_below_another_repository_it_is_a_part_of_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    create_project(tmp_path / "part")
    assert (tmp_path / "part/.dvc").is_dir()
    assert not (tmp_path / "part/.git").exists()
