from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.download import archives
from pipeline.download import rejections as reasons
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
        path = folder / "archive"
        with tarfile.open(path, mode) as archive:
            for name, data in files:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

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


@pytest.mark.parametrize("kind", WRITERS)
def test_wanted_files_are_read_whatever_the_archive(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path, FILES)
    found = sorted(read(path, 1000), key=lambda member: member[0])
    assert found == [("a/1.jpg", Content(b"one")), ("b/2.jpg", Content(b"two"))]


def test_a_member_without_a_name_is_no_traceback(tmp_path: Path) -> None:
    path = write_zip(tmp_path, [("a.jpg", b"photo")])
    # zipfile takes a name to end at its first zero; up to Python 3.11 it then asks for the last
    # character, which is an IndexError.
    path.write_bytes(path.read_bytes().replace(b"a.jpg", b"\0.jpg"))
    with contextlib.suppress(ColorpipeError):
        assert list(members(path, is_jpg, 1000)) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = write_folder(tmp_path, FILES)
    os.mkfifo(path / "a" / "0.jpg")
    assert [member.name for member in members(path, is_jpg, 1000)] == ["a/1.jpg", "b/2.jpg"]
    with pytest.raises(ColorpipeError, match=r"0\.jpg is neither a file nor a folder"):
        list(members(path / "a" / "0.jpg", is_jpg, 1000))


@pytest.mark.parametrize("kind", WRITERS)
def test_large_files_are_not_read(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path, [("a.jpg", bytes(1001)), ("b.jpg", bytes(1000))])
    (name, large), (_, fits) = read(path, 1000)
    assert (name, large.data, large.reason) == ("a.jpg", b"", reasons.TOO_LARGE)
    assert fits.data == bytes(1000)


@pytest.mark.parametrize("kind", ["zip", "w:", "w:gz"])
def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path, kind: str) -> None:
    evil = [("../../evil.jpg", b"x"), ("/etc/evil.jpg", b"y"), ("C:\\evil.jpg", b"z")]
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    path = WRITERS[kind](inner, evil)
    assert {content.data for _, content in read(path, 10)} == {b"x", b"y", b"z"}
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("photo.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert read(path, 10) == [("photo.jpg", Content(reason=reasons.LINK))]


def test_links_of_a_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("photo.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert read(path, 100) == [("photo.jpg", Content(reason=reasons.LINK))]


def test_a_damaged_file_of_a_zip_does_not_harm_the_others(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"one photo")
        archive.writestr("b.jpg", b"another one")
    path.write_bytes(path.read_bytes().replace(b"one photo", b"one phot0"))
    (_, damaged), (_, whole) = read(path, 100)
    assert damaged.reason == reasons.DAMAGED
    assert whole.data == b"another one"


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all" * 100, b"\x1f\x8b\x08 cut", b"PK\x03\x04 cut", b"BZh9"]
)
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photos.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ColorpipeError, match=r"photos\.tar\.gz is no archive"):
        list(members(path, is_jpg, 10))


def test_a_missing_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="could not be read"):
        list(members(tmp_path / "none.zip", is_jpg, 10))


def test_a_cut_archive_is_told_after_what_could_be_read(tmp_path: Path) -> None:
    path = tar_writer("w:gz")(tmp_path, [(f"{n}.jpg", bytes([n]) * 5000) for n in range(50)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ColorpipeError, match="no archive that can be read"):
        list(members(path, is_jpg, 10_000))


@pytest.mark.parametrize("kind", ["w:", "w:gz"])
@pytest.mark.parametrize("where", ["in a header", "at a header", "a bit of a header"])
def test_a_tar_that_is_damaged_between_files_is_told(tmp_path: Path, kind: str, where: str) -> None:
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
    with pytest.raises(ColorpipeError, match=r"damaged or cut off.*get it again"):
        read(path, 1000)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_of_a_zip_or_folder_only_what_is_asked_for_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = WRITERS[kind](tmp_path, FILES)
    opened: list[object] = []
    monkeypatch.setattr(Path, "read_bytes", opened.append)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *given: opened.append(given))
    first, second = members(path, is_jpg, 1000)
    assert (first.name, second.name, opened) == ("a/1.jpg", "b/2.jpg", [])


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
