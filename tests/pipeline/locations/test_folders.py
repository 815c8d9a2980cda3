"""Folders of results that a reader can rely on."""

from __future__ import annotations

from pathlib import Path

import object_storage
import pytest
from object_storage import door, in_memory

from pipeline.errors import ColorpipeError, Failure
from pipeline.location import Url
from pipeline.locations.folders import (
    LISTING,
    UPLOADING,
    check_publishable,
    fetch_folder,
    publish_folder,
    save_listing,
)
from pipeline.locations.storage import Storage

OUT = Url("s3", "photos/out")
FIRST = {"a/1.png": b"one", "a/2.png": b"two", "b/1.png": b"three"}
SECOND = {"a/1.png": b"one", "a/2.png": b"changed", "c/1.png": b"new"}


def folder(path: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def objects(storage: object_storage.Storage) -> dict[str, bytes]:
    return {name: data for name, data in storage.files("out/").items() if name != LISTING}


def fetched(path: Path, url: Url = OUT) -> dict[str, bytes]:
    assert fetch_folder(url, path) == []
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_a_folder_is_replaced_and_comes_back_the_same(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    for number, content in enumerate((FIRST, SECOND)):
        check_publishable(OUT, "--out")
        assert publish_folder(folder(tmp_path / f"{number}", content), OUT) == []
        assert objects(storage) == content
        assert fetched(tmp_path / f"back-{number}") == content
    save_listing(OUT, tmp_path / "listing.csv")
    listing = (tmp_path / "listing.csv").read_bytes()
    assert listing == storage.get(f"out/{LISTING}")
    assert listing.splitlines()[1] == b"a/1.png,3,f97c5d29941bfb1b2fdab0874906ab82"


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_nothing_of_it_is_of_one_provider(scheme: str, tmp_path: Path) -> None:
    url = Url(scheme, "photos/out")
    with in_memory(scheme):
        for number, content in enumerate((FIRST, SECOND)):
            check_publishable(url, "--out")
            assert publish_folder(folder(tmp_path / f"{number}", content), url) == []
            assert fetched(tmp_path / f"back-{number}", url) == content
        folder(tmp_path / "mine", {"mine.jpg": b"mine"})
        Storage(url).write(tmp_path / "mine/mine.jpg", "mine.jpg")
        with pytest.raises(ColorpipeError, match=rf"{scheme}://photos/out would be replaced, but"):
            check_publishable(url, "--out")


def test_what_is_the_same_is_not_uploaded_again(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    publish_folder(folder(tmp_path / "1", FIRST), OUT)
    put: list[str] = []

    def note(method: str, path: str) -> int:
        if method == "PUT":
            put.append(path.removeprefix("/photos/out/"))
        return 0

    with door(storage.endpoint, note):
        publish_folder(folder(tmp_path / "2", SECOND), OUT)
    assert put[0] == UPLOADING
    assert set(put[1:-1]) == {"a/2.png", "c/1.png"}
    assert put[-1] == LISTING


@pytest.mark.parametrize("cut", ["a/2.png", LISTING, UPLOADING, "DELETE"])
def test_a_replacement_that_was_cut_off_is_refused_until_it_is_whole(
    cut: str, storage: object_storage.Storage, tmp_path: Path
) -> None:
    publish_folder(folder(tmp_path / "1", FIRST), OUT)

    def status(method: str, path: str) -> int:
        is_cut = (method == "PUT" and path.endswith(cut)) or (
            cut == "DELETE" and (method == "DELETE" or path.endswith("?delete"))
        )
        return 503 if is_cut else 0

    failures: list[Failure] = []
    with door(storage.endpoint, status):
        try:
            failures = publish_folder(folder(tmp_path / "2", SECOND), OUT)
        except ColorpipeError as error:
            assert str(error).endswith("run this again.")
    if cut == "a/2.png":
        assert [failure.what for failure in failures] == [f"{OUT}/a/2.png", str(OUT)]
    if cut == UPLOADING:
        assert fetched(tmp_path / "back") == FIRST
    else:
        for read in (fetch_folder, save_listing):
            with pytest.raises(ColorpipeError, match="is being written, or that was cut off"):
                read(OUT, tmp_path / "back")
        assert not (tmp_path / "back").exists()
    # Nothing is lost before all that is new is there.
    if cut != "DELETE":
        assert storage.get("out/b/1.png") == FIRST["b/1.png"]
    check_publishable(OUT, "--out")
    assert publish_folder(tmp_path / "2", OUT) == []
    assert objects(storage) == SECOND


def test_an_object_that_somebody_changed_is_noticed(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    publish_folder(folder(tmp_path / "1", FIRST), OUT)
    storage.put("out/a/1.png", b"mine")
    with pytest.raises(ColorpipeError, match=r"s3://photos/out/a/1\.png is not what \.listing"):
        fetch_folder(OUT, tmp_path / "back")
    storage.delete(f"out/{LISTING}")
    assert fetched(tmp_path / "again") == {**FIRST, "a/1.png": b"mine"}


def test_objects_of_somebody_else_are_never_replaced(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    storage.put("out/mine.jpg", b"mine")
    with pytest.raises(ColorpipeError, match=r"it holds mine\.jpg, which is not in its \.listing"):
        check_publishable(OUT, "--out")
    with pytest.raises(ColorpipeError, match=r"s3://photos/out/mine\.jpg is an object"):
        check_publishable(OUT / "mine.jpg", "--out")
    storage.delete("out/mine.jpg")
    publish_folder(folder(tmp_path / "1", FIRST), OUT)
    storage.put("out/a/mine.jpg", b"mine")
    with pytest.raises(ColorpipeError, match=r"it holds a/mine\.jpg"):
        check_publishable(OUT, "--out")
    assert storage.get("out/a/mine.jpg") == b"mine"


def test_an_object_that_cannot_be_read_is_named_and_the_rest_is_there(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    for name in ("a/1.png", "a/2.png", "../up.png", "a/.hidden.png"):
        storage.put(f"out/{name}", b"photo")
    with door(storage.endpoint, lambda _, path: 503 if path.endswith("/1.png") else 0):
        failures = fetch_folder(OUT, tmp_path / "in" / "folder")
    assert {failure.what for failure in failures} == {f"{OUT}/a/1.png", f"{OUT}/../up.png"}
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {Path("in/folder/a/2.png")}


def test_objects_that_no_folder_can_hold_are_named_without_the_local_copy(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    for name in ("a.png", "a.png/b.png", "n" * 300 + ".png"):
        storage.put(f"out/{name}", b"photo")
    failures = fetch_folder(OUT, tmp_path / "in")
    assert [failure.what for failure in failures] == [
        f"{OUT}/a.png/b.png",
        f"{OUT}/{'n' * 300}.png",
    ]
    assert [failure.reason for failure in failures] == [
        "could not be read (another object has the name of its folder)",
        "could not be read (File name too long)",
    ]


def test_where_no_object_may_be_read_that_is_said(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    for name in ("a/1.png", "a/2.png"):
        storage.put(f"out/{name}", b"photo")
    with (
        door(storage.endpoint, lambda _, path: 403 if path.endswith(".png") else 0),
        pytest.raises(ColorpipeError, match=r"/1\.png could not be read.*, nor could any other"),
    ):
        fetch_folder(OUT, tmp_path / "in")


def test_where_nothing_is_nothing_is_read(storage: object_storage.Storage, tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="There is nothing below s3://photos/out;"):
        fetch_folder(OUT, tmp_path / "in")
    # Of an object a table would be as empty, and DVC content with it.
    storage.put("a.png", b"photo")
    for url in (OUT, Url("s3", "photos/a.png")):
        with pytest.raises(ColorpipeError, match=f"There is nothing below {url};"):
            save_listing(url, tmp_path / "listing.csv")
    assert list(tmp_path.iterdir()) == []
