"""Listing, reading and writing objects."""

from __future__ import annotations

from pathlib import Path

import fsspec
import listing
import object_storage
import pytest
from object_storage import clients_of, door

from pipeline.location import Url
from pipeline.locations.storage import Entry, Storage, StorageError

PHOTOS = Url("s3", "photos")


def test_a_long_listing_comes_in_pages_and_in_order(
    storage: object_storage.Storage,
) -> None:
    requests: list[str] = []

    def note(method: str, path: str) -> int:
        requests.append(path)
        return 0

    with listing.listing_server(2500) as endpoint, door(endpoint, note):
        entries = Storage(PHOTOS / "in").entries()
        names = [next(entries).name]
        assert len(requests) == 1
        names += [entry.name for entry in entries]
    assert len(requests) == 3
    assert names == sorted(set(names))
    assert len(names) == 2500


def test_what_only_begins_alike_is_not_listed(storage: object_storage.Storage) -> None:
    for name in ("in/a.jpg", "inside.jpg", "in.jpg"):
        storage.put(name, b"")
    assert [entry.name for entry in Storage(PHOTOS / "in").entries()] == ["a.jpg"]


def test_objects_are_written_read_and_deleted(
    storage: object_storage.Storage, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    objects = Storage(PHOTOS / "in")
    objects.write(tmp_path / "a", "b/ü?#%20.jpg")
    assert storage.get("in/b/ü?#%20.jpg") == b"content"
    assert list(objects.entries()) == [Entry("b/ü?#%20.jpg", 7, "9a0364b9e99bb480dd25e1f0284c8555")]
    objects.read("b/ü?#%20.jpg", tmp_path / "new" / "a")
    assert (tmp_path / "new" / "a").read_bytes() == b"content"
    assert Storage(PHOTOS / "in/b/ü?#%20.jpg").is_file()
    assert not objects.is_file()
    objects.delete(["b/ü?#%20.jpg"])
    objects.delete([])
    assert storage.names() == []
    with pytest.raises(StorageError, match="it does not exist"):
        objects.read("b/a.jpg", tmp_path / "b")


def test_other_storage_is_listed_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # fsspec's storage in memory, behind the scheme of another.
    in_memory = fsspec.get_filesystem_class("memory")
    fsspec.register_implementation("gs", in_memory, clobber=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    files = fsspec.filesystem("memory")
    names = ["a-1.jpg", "a/b.jpg", "a/c/d.jpg", "a.jpg", "z.jpg"]
    for name in names:
        files.pipe(f"/bucket/in/{name}", name.encode())
    try:
        found = list(Storage(Url("gs", "bucket/in")).entries())
        assert [entry.name for entry in found] == sorted(names)
        assert [entry.bytes for entry in found] == [len(name) for name in sorted(names)]
        assert list(Storage(Url("gs", "bucket/nothing")).entries()) == []
    finally:
        files.rm("/bucket", recursive=True)
        fsspec.register_implementation("gs", "gcsfs.GCSFileSystem", clobber=True)


def test_an_error_repeats_no_credentials(storage: object_storage.Storage, tmp_path: Path) -> None:
    web = Url("http", f"{storage.endpoint.removeprefix('http://')}/photos/no.jpg", "Signature=s3cr")
    with pytest.raises(StorageError) as raised:
        Storage(web).read("", tmp_path / "a")
    assert "s3cr" not in str(raised.value)
    with (
        clients_of("http://name:hunter2@127.0.0.1:9"),
        pytest.raises(StorageError) as raised,
    ):
        Storage(PHOTOS).read("a", tmp_path / "a")
    assert "hunter2" not in str(raised.value)
