import os
from pathlib import Path, PurePath, PurePosixPath

import pytest

from pipeline.files.listing import (
    files_below,
    files_in,
    folders_in,
    is_hidden,
    reachable_files,
    regular_files,
)

LEFT_BY_SYSTEMS = (
    "@eaDir/photo.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/photo.jpg",
    "#snapshot/photo.jpg",
    "@Recycle/photo.jpg",
    ".thumbnails/photo.jpg",
    ".DS_Store",
    "._photo.jpg",
    "__MACOSX/photo.jpg",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "$RECYCLE.BIN/photo.jpg",
    "System Volume Information/photo.jpg",
    "lost+found/photo.jpg",
    "Catalog Previews.lrdata/photo.jpg",
)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_files_and_folders_come_sorted(tmp_path: Path) -> None:
    fill(tmp_path, "b.jpg", "a.jpg", "sky/one.jpg", "Sea/one.jpg")
    assert files_in(tmp_path) == ["a.jpg", "b.jpg"]
    assert folders_in(tmp_path) == [tmp_path / "Sea", tmp_path / "sky"]


@pytest.mark.parametrize("name", LEFT_BY_SYSTEMS)
def test_what_systems_leave_behind_is_hidden(name: str) -> None:
    assert is_hidden(PurePath(name))
    assert is_hidden(PurePath("sea") / name)


@pytest.mark.parametrize("name", ["a.jpg", "../a.jpg", "sea.d/a.jpg", "eaDir/a.jpg", "lost/a.jpg"])
def test_other_names_are_not_hidden(name: str) -> None:
    assert not is_hidden(PurePosixPath(name))


def test_no_listing_finds_what_is_hidden(tmp_path: Path) -> None:
    fill(tmp_path, "photo.jpg", *LEFT_BY_SYSTEMS)
    assert files_in(tmp_path) == ["photo.jpg"]
    assert folders_in(tmp_path) == []
    assert list(files_below(tmp_path)) == ["photo.jpg"]
    assert reachable_files(tmp_path) == ([tmp_path / "photo.jpg"], [])


def test_files_below_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["a/b.jpg", "a/c/d.jpg", "a.jpg", "z.jpg"]
    found = list(files_below(fill(tmp_path, *names)))
    assert sorted(found) == sorted(names)
    assert [tmp_path / name for name in found] == sorted(tmp_path / name for name in names)


def test_a_broken_link_counts_as_a_file(tmp_path: Path) -> None:
    fill(tmp_path, "photo.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    found = ["broken.jpg", "circle.jpg", "photo.jpg"]
    assert list(files_below(tmp_path)) == files_in(tmp_path) == found


def test_files_below_do_not_follow_links_to_folders(tmp_path: Path) -> None:
    fill(tmp_path, "real/photo.jpg")
    (tmp_path / "real/round").symlink_to(tmp_path / "real")
    assert list(files_below(tmp_path / "real")) == ["photo.jpg"]
    assert folders_in(tmp_path / "real") == [tmp_path / "real/round"]


def test_reachable_files_follow_links_and_name_broken_ones(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/photo.jpg", "here/own.jpg")
    here = tmp_path / "here"
    (here / "linked").symlink_to(tmp_path / "elsewhere")
    (here / "round").symlink_to(here)
    (here / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    files, errors = reachable_files(here)
    assert files == [here / "linked/photo.jpg", here / "own.jpg"]
    assert [error.filename for error in errors] == [str(here / "broken.jpg")]


def test_pipes_are_not_regular_files(tmp_path: Path) -> None:
    fill(tmp_path, "photo.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    paths = [tmp_path / "photo.jpg", tmp_path / "pipe.jpg"]
    assert regular_files(paths) == ([tmp_path / "photo.jpg"], [])
