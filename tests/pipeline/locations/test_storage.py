"""Listing, reading and writing objects."""

from __future__ import annotations

import base64
import importlib.util
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import listing
import object_storage
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from object_storage import clients_of, door, in_memory

from pipeline.errors import ColorpipeError
from pipeline.location import Url
from pipeline.locations import storage as storage_module
from pipeline.locations.storage import (
    TRANSFER_BYTES,
    TRANSFERS,
    Entry,
    Storage,
    StorageError,
)

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
    objects.delete("b/ü?#%20.jpg")
    assert storage.names() == []
    with pytest.raises(StorageError, match="it does not exist"):
        objects.read("b/a.jpg", tmp_path / "b")


def test_a_name_is_no_pattern(storage: object_storage.Storage) -> None:
    for name in ("in/a[1].png", "in/a1.png", "in/b.png", "in/*"):
        storage.put(name, b"")
    objects = Storage(PHOTOS / "in")
    objects.delete("a[1].png")
    objects.delete("*")
    assert storage.names() == ["in/a1.png", "in/b.png"]


def test_other_storage_is_listed_in_the_same_order() -> None:
    names = ["a-1.jpg", "a/b.jpg", "a/c/d.jpg", "a.jpg", "z.jpg"]
    with in_memory("gs"):
        for name in names:
            fsspec.filesystem("gs").pipe(f"/bucket/in/{name}", name.encode())
        found = list(Storage(Url("gs", "bucket/in")).entries())
        assert list(Storage(Url("gs", "bucket/nothing")).entries()) == []
    assert [entry.name for entry in found] == sorted(names)
    assert [entry.bytes for entry in found] == [len(name) for name in sorted(names)]


def test_the_content_is_an_md5_where_the_storage_tells() -> None:
    md5 = "9a0364b9e99bb480dd25e1f0284c8555"
    told: dict[str, object] = {}

    class Other(MemoryFileSystem):
        def ls(self, path: str, detail: bool = True, **options: object) -> list[dict[str, object]]:
            return [{**info, **told} for info in super().ls(path, detail=True, **options)]

    with in_memory("gs", Other):
        fsspec.filesystem("gs").pipe("/bucket/in/a.jpg", b"content")
        objects = Storage(Url("gs", "bucket/in"))
        assert list(objects.entries()) == [Entry("a.jpg", 7, "")]
        told["etag"] = '"CJjR"'
        assert list(objects.entries()) == [Entry("a.jpg", 7, "CJjR")]
        told["content_settings"] = {"content_md5": bytearray.fromhex(md5)}
        assert list(objects.entries()) == [Entry("a.jpg", 7, md5)]
        told["md5Hash"] = base64.b64encode(bytes.fromhex(md5)).decode()
        assert list(objects.entries()) == [Entry("a.jpg", 7, md5)]
        assert list(Storage(Url("gs", "bucket/nothing")).entries()) == []
        with pytest.raises(ColorpipeError, match="gs://nowhere/in could not be listed: it does no"):
            list(Storage(Url("gs", "nowhere/in")).entries())


def test_a_name_that_would_mean_another_object_is_refused(tmp_path: Path) -> None:
    class Azure(MemoryFileSystem):
        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.replace("?#", "#")))

    (tmp_path / "photo").write_bytes(b"new")
    with in_memory("az", Azure):
        files = Storage(Url("az", "container/in"))
        files.write(tmp_path / "photo", "a#b.jpg")
        for action in (files.delete, lambda name: files.write(tmp_path / "photo", name)):
            with pytest.raises(StorageError, match="names like its own cannot be used with az://"):
                action("a?#b.jpg")
        assert [entry.name for entry in files.entries()] == ["a#b.jpg"]


def test_what_a_package_says_without_credentials_is_one_sentence() -> None:
    class Azure(MemoryFileSystem):
        def __init__(self, **options: object) -> None:
            raise ValueError("Server failed to authenticate the request.\nRequestId:a48d\n<xml>")

    with in_memory("az", Azure), pytest.raises(ColorpipeError) as raised:
        Storage(Url("az", "container/in"))
    assert str(raised.value) == (
        "az://container/in could not be opened: Server failed to authenticate the request; check"
        " the URL, the credentials, the region and the endpoint."
    )


UNREACHABLE = {
    "AWS_ENDPOINT_URL=localhost:9000": "Invalid endpoint: localhost:9000",
    "AWS_ENDPOINT_URL=http://nowhere.invalid": 'not connect to the endpoint URL: "http://nowhere',
    "AWS_DEFAULT_REGION=here & there": "region_name 'here & there' doesn't match",
    "AWS_PROFILE=of-nobody": "The config profile (of-nobody) could not be found",
    "AWS_ACCESS_KEY_ID=": "Unable to locate credentials",
}


@pytest.mark.parametrize("setting", UNREACHABLE)
def test_wrong_settings_are_one_sentence(
    setting: str, storage: object_storage.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _, value = setting.partition("=")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with clients_of(storage.endpoint), pytest.raises(ColorpipeError) as raised:
        monkeypatch.setenv(key, value)
        list(Storage(PHOTOS / "in").entries())
    said = str(raised.value)
    assert said.startswith("s3://photos/in could not be listed: ")
    assert UNREACHABLE[setting] in said
    assert said.endswith("; check the URL, the credentials, the region and the endpoint.")
    assert "\n" not in said


def test_a_storage_that_says_nothing_is_one_sentence(
    storage: object_storage.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "FIRST_ANSWER", 0.5)
    over = threading.Event()

    def silent(*_: str) -> int:
        over.wait(60)
        return 0

    with door(storage.endpoint, silent):
        objects = Storage(PHOTOS / "in")
        with pytest.raises(ColorpipeError, match="could not be listed: it does not answer; check"):
            list(objects.entries())
        with pytest.raises(ColorpipeError, match="could not be read: it does not answer; check"):
            objects.is_file()
        over.set()


def test_the_wrong_region_is_one_sentence(storage: object_storage.Storage) -> None:
    with (
        door(storage.endpoint, lambda *_: 400),
        pytest.raises(ColorpipeError, match=r"could not be listed: .*AuthorizationHeaderMal.*regi"),
    ):
        list(Storage(PHOTOS / "in").entries())


@pytest.mark.parametrize(
    ("scheme", "package", "wanted"),
    [("s3", "s3fs", "'colorpipe[cloud]'"), ("gs", "gcsfs", "gcsfs"), ("az", "adlfs", "adlfs")],
)
def test_a_missing_package_is_one_sentence(
    scheme: str, package: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    with pytest.raises(ColorpipeError) as raised:
        Storage(Url(scheme, "photos"))
    assert str(raised.value) == (
        f"URLs that begin with {scheme}:// need the package {package}, which is not installed;"
        f" install it with: pip install {wanted}."
    )


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


@pytest.mark.parametrize(
    ("size", "most"),
    [(0, 2 * TRANSFERS), (TRANSFER_BYTES // 4, 5), (2 * TRANSFER_BYTES, 1)],
)
def test_transfers_run_ahead_by_a_number_and_by_bytes(size: int, most: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 100:
            taken += 1
            yield taken

    with ThreadPoolExecutor(TRANSFERS) as pool:
        transfers = storage_module.transfer(str, items(), pool, lambda _: size)
        for number, (item, result) in enumerate(transfers, start=1):
            assert (item, result) == (number, str(number))
            assert taken - number < most
    assert taken == number == 100
