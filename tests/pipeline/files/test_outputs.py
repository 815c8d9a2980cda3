import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import (
    check_replaceable,
    link_or_copy,
    new_file,
    new_folder,
    write_bytes,
)
from pipeline.imaging.decode import read_bytes


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


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such rights there")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_and_folders_have_the_rights_that_the_umask_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    before = os.umask(umask)
    try:
        # It is the whole process's: changed, even to read it, it is wrong for the other threads.
        monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
        with new_file(tmp_path / "file") as temporary:
            (tmp_path / "private").touch(0o600)
            (tmp_path / "private").replace(temporary)
        with new_folder(tmp_path / "folder"):
            pass
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such rights there")
def test_threads_make_files_with_the_same_rights_and_leave_the_umask(tmp_path: Path) -> None:
    def made(number: int) -> int:
        path = tmp_path / str(number % 10) / str(number)
        with new_file(path) as temporary:
            temporary.touch()
        return path.stat().st_mode

    before, interval = os.umask(0o022), sys.getswitchinterval()
    # Threads take turns between any two lines, as they do once in many thousand files.
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            modes = set(pool.map(made, range(2000)))
    finally:
        sys.setswitchinterval(interval)
        left = os.umask(before)
    assert {mode & 0o777 for mode in modes} == {0o644}
    assert {folder.stat().st_mode & 0o777 for folder in tmp_path.iterdir()} == {0o755}
    assert left == 0o022


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


def test_an_error_of_no_file_names_none(tmp_path: Path) -> None:
    with (
        pytest.raises(ColorpipeError, match=r"unchanged: No space left on device\.$"),
        new_folder(tmp_path / "out"),
    ):
        raise OSError(28, os.strerror(28))


def filled(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_at_any_rename_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path = filled(tmp_path / "out", "old")
    renamed = []
    replace = Path.replace

    def interrupted(source: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) == at:
            raise KeyboardInterrupt
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(path) as temporary:
        (temporary / "new").touch()
    assert [entry.name for entry in path.iterdir()] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.symlink_to(filled(tmp_path / "disk/big", "old"))
    with new_folder(path) as temporary:
        (temporary / "new").touch()
        assert temporary.parent == tmp_path / "disk"
    assert path.is_symlink()
    assert [entry.name for entry in (tmp_path / "disk/big").iterdir()] == ["new"]


KILLED = """
import os, signal
from pathlib import Path
from pipeline.files import outputs
if {renaming}:
    replace = Path.replace
    def stop(source, target):
        replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    Path.replace = stop
with outputs.new_folder(Path("out")) as folder:
    (folder / "half").touch()
    if not {renaming}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
@pytest.mark.parametrize("renaming", [False, True])
def test_what_a_killed_process_left_is_cleared_up_and_no_work_is_lost(
    tmp_path: Path, renaming: bool
) -> None:
    filled(tmp_path / "out", "old")
    project = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", KILLED.format(renaming=renaming)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": project},
        check=False,
    )
    assert (tmp_path / "out").exists() != renaming
    assert len(list(tmp_path.iterdir())) > 1 or renaming
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out"):
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["old"]


def test_another_run_s_folder_is_left_alone(tmp_path: Path) -> None:
    mine = filled(tmp_path / ".writing-out-of-mine", "notes")
    with new_folder(tmp_path / "out") as first:
        (first / "a").touch()
        with new_folder(tmp_path / "out") as second:
            (second / "b").touch()
            assert first.exists()
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["a"]
    assert mine.exists()


def test_only_what_a_stage_wrote_is_replaced(tmp_path: Path) -> None:
    def check(near: list[Path] | None = None) -> None:
        check_replaceable(
            tmp_path / "out",
            "--out",
            near=near or [],
            known=lambda file: file.endswith(".png"),
            looks_own=lambda path: path.stat().st_size == 0,
        )

    check()
    filled(tmp_path / "out/sea", "a.png")
    (tmp_path / "out/.DS_Store").touch()
    check([tmp_path / "other", tmp_path / "out2"])
    for near in (tmp_path / "out", tmp_path / "out/sea", tmp_path):
        with pytest.raises(ColorpipeError, match=r"overlap; name another folder with --out\."):
            check([near])
    (tmp_path / "link").symlink_to(tmp_path / "out/sea")
    with pytest.raises(ColorpipeError, match="overlap"):
        check([tmp_path / "link"])
    (tmp_path / "out/sea/a.png").write_text("not empty")
    with pytest.raises(ColorpipeError, match=r"holds sea/a\.png, which was not written by"):
        check()
    (tmp_path / "out/sea/a.png").unlink()
    (tmp_path / "out/sea/diary.txt").touch()
    with pytest.raises(ColorpipeError, match=r"holds sea/diary\.txt, which was not written by"):
        check()
