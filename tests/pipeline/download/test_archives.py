from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from archives import write_tar

from pipeline.download import archives, rejections
from pipeline.download.archives import Content, members
from pipeline.errors import ColorpipeError

FILES = (("b/2.jpg", b"two"), ("a/1.jpg", b"one"), ("notes.txt", b"text"))
Writer = Callable[[Path, Sequence[tuple[str, bytes]]], Path]


def write_zip(folder: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    path = folder / "archive"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def tar_writer(mode: str) -> Writer:
    def write(folder: Path, files: Sequence[tuple[str, bytes]]) -> Path:
        return write_tar(folder / "archive", dict(files), mode)

    return write


def write_folder(folder: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    for name, data in files:
        (folder / "archive" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "archive" / name).write_bytes(data)
    return folder / "archive"


WRITERS = {
    "zip": write_zip,
    "folder": write_folder,
    **{mode: tar_writer(mode) for mode in ("w:", "w:gz", "w:bz2", "w:xz")},
}


def is_jpg(name: str) -> bool:
    return name.endswith(".jpg")


def read(path: Path, max_bytes: int) -> list[tuple[str, Content]]:
    return [(member.name, member.read()) for member in members(path, is_jpg, max_bytes)]


def test_a_tar_whose_first_file_is_named_like_a_zips_signature_is_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cars.tar", {"PKW/1.jpg": b"one"})
    assert read(path, 10) == [("PKW/1.jpg", Content(b"one"))]


@pytest.mark.parametrize("kind", WRITERS)
def test_wanted_files_are_read_from_every_kind_of_archive(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path, FILES)
    found = sorted(read(path, 1000), key=lambda member: member[0])
    assert found == [("a/1.jpg", Content(b"one")), ("b/2.jpg", Content(b"two"))]


def test_a_member_without_a_name_is_skipped(tmp_path: Path) -> None:
    path = write_zip(tmp_path, [("a.jpg", b"photo")])
    # For zipfile a name ends at its first zero byte. Up to Python 3.11, it raises IndexError if
    # nothing precedes that.
    path.write_bytes(path.read_bytes().replace(b"a.jpg", b"\0.jpg"))
    with contextlib.suppress(ColorpipeError):
        assert list(members(path, is_jpg, 1000)) == []


def test_a_named_pipe_is_skipped(tmp_path: Path) -> None:
    path = write_folder(tmp_path, FILES)
    os.mkfifo(path / "a" / "0.jpg")
    assert [member.name for member in members(path, is_jpg, 1000)] == ["a/1.jpg", "b/2.jpg"]
    with pytest.raises(ColorpipeError, match=r"0\.jpg is neither a file nor a folder"):
        list(members(path / "a" / "0.jpg", is_jpg, 1000))


@pytest.mark.parametrize("kind", WRITERS)
def test_large_files_are_not_read(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path, [("a.jpg", bytes(1001)), ("b.jpg", bytes(1000))])
    (name, large), (_, fits) = read(path, 1000)
    assert (name, large.data, large.reason) == ("a.jpg", b"", rejections.TOO_LARGE)
    assert fits.data == bytes(1000)


@pytest.mark.parametrize("kind", ["zip", "w:", "w:gz"])
def test_names_that_lead_out_of_the_archive_do_no_harm(tmp_path: Path, kind: str) -> None:
    evil = [("../../evil.jpg", b"x"), ("/etc/evil.jpg", b"y"), ("C:\\evil.jpg", b"z")]
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    path = WRITERS[kind](inner, evil)
    assert {content.data for _, content in read(path, 10)} == {b"x", b"y", b"z"}
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_rejected(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("photo.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert read(path, 10) == [("photo.jpg", Content(reason=rejections.LINK))]


def test_links_in_a_zip_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("photo.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert read(path, 100) == [("photo.jpg", Content(reason=rejections.LINK))]


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"one photo")
        archive.writestr("b.jpg", b"another one")
    path.write_bytes(path.read_bytes().replace(b"one photo", b"one phot0"))
    (_, damaged), (_, whole) = read(path, 100)
    assert damaged.reason == rejections.DAMAGED
    assert whole.data == b"another one"


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all" * 100, b"\x1f\x8b\x08 cut", b"PK\x03\x04 cut", b"BZh9"]
)
def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photos.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ColorpipeError, match=r"photos\.tar\.gz is not an archive"):
        list(members(path, is_jpg, 10))


def test_a_missing_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="could not be read"):
        list(members(tmp_path / "none.zip", is_jpg, 10))


def test_a_truncated_archive_is_an_error(tmp_path: Path) -> None:
    path = tar_writer("w:gz")(tmp_path, [(f"{n}.jpg", bytes([n]) * 5000) for n in range(50)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ColorpipeError, match="not an archive that can be read"):
        list(members(path, is_jpg, 10_000))


@pytest.mark.parametrize("kind", ["w:", "w:gz"])
@pytest.mark.parametrize("where", ["in a header", "at a header", "a bit of a header"])
def test_a_tar_that_is_damaged_between_files_is_an_error(
    tmp_path: Path, kind: str, where: str
) -> None:
    files = [(f"{n}.jpg", bytes([n]) * 512) for n in range(10)]
    content = tar_writer("w:")(tmp_path, files).read_bytes()
    header = 1024 * 4
    assert content[header : header + 5] == b"4.jpg"
    content = {
        "in a header": content[: header + 100],
        "at a header": content[:header],
        "a bit of a header": content[:header] + b"5" + content[header + 1 :],
    }[where]
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(content) if kind == "w:gz" else content)
    with pytest.raises(ColorpipeError, match=r"damaged or cut off.*download it again"):
        read(path, 1000)


def test_members_of_a_folder_are_read_on_demand(tmp_path: Path) -> None:
    path = write_folder(tmp_path, [("a.jpg", b"photo 1"), ("b.jpg", b"photo 2")])
    first, second = members(path, is_jpg, 1000)
    (path / "a.jpg").write_bytes(b"photo 3")
    assert (first.read(), second.read()) == (Content(b"photo 3"), Content(b"photo 2"))


def test_members_of_a_zip_are_read_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"photo 1")
        archive.writestr("b.jpg", b"photo 2")
    inside = members(path, is_jpg, 1000)
    first = next(inside)
    path.write_bytes(path.read_bytes().replace(b"photo 1", b"photo 3"))
    # The new content does not have the checksum of the old one.
    assert first.read().reason == rejections.DAMAGED
    assert next(inside).read() == Content(b"photo 2")


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 2**20)
    path = WRITERS[kind](tmp_path, [(f"{n}.jpg", bytes(2**18)) for n in range(20)])
    with pytest.raises(ColorpipeError, match="unpacks to more"):
        read(path, 2**18)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(ColorpipeError, match="has a header of"):
        list(members(path, is_jpg, 10))
