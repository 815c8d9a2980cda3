import os
from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.images import read_bytes
from pipeline.outputs import link_or_copy, new_file, new_folder, write_bytes


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with new_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(RuntimeError), new_file(path) as temporary:
        temporary.write_text("two")
        raise RuntimeError
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with new_folder(path) as temporary:
        (temporary / "a").write_text("one")
    with pytest.raises(RuntimeError), new_folder(path) as temporary:
        (temporary / "b").write_text("two")
        raise RuntimeError
    assert [entry.name for entry in path.iterdir()] == ["a"]
    with new_folder(path) as temporary:
        (temporary / "c").write_text("three")
    assert [entry.name for entry in path.iterdir()] == ["c"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("kept")
    with (
        pytest.raises(ColorpipeError, match="unchanged: No space left on device"),
        new_folder(path),
    ):
        raise OSError(28, os.strerror(28), "photo.png")
    assert (path / "old").read_text() == "kept"


def test_linking_falls_back_on_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    link_or_copy(source, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(source)
    (tmp_path / "pointer").symlink_to(source)
    link_or_copy(str(tmp_path / "pointer"), tmp_path / "followed")
    assert (tmp_path / "followed").samefile(source)
    assert not (tmp_path / "followed").is_symlink()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"bytes"
    assert not (tmp_path / "copied").samefile(source)


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_bytes_come_back_as_they_were_written(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(b"what was there before" * 20_000)
    write_bytes(str(path), data)
    assert path.read_bytes() == data
    assert read_bytes(str(path)) == read_bytes(path) == data


def test_a_write_that_takes_a_part_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:1000]))
    data = os.urandom(3500)
    write_bytes(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data
