import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest
from permissions import unprivileged_folder

from pipeline.errors import ColorpipeError
from pipeline.files import outputs
from pipeline.files.outputs import check_place, check_replaceable, new_file, new_folder


def filled(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with new_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(RuntimeError), new_file(path) as temporary:
        temporary.write_text("two")
        raise RuntimeError
    assert path.read_text() == "one"
    assert names_in(path.parent) == ["file.txt"]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    full = pytest.raises(OSError, match=r"No space left on device: '.*file\.txt'$")
    with full, new_file(tmp_path / "file.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=r"other\.txt'$"), new_file(tmp_path / "file.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "other.txt")
    assert not names_in(tmp_path)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_decides_the_rights_of_files_and_folders(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with new_file(tmp_path / "file") as temporary:
            (tmp_path / "private").touch(0o600)
            (tmp_path / "private").replace(temporary)
        with new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_threads_get_the_same_rights_and_leave_the_umask(tmp_path: Path) -> None:
    def made(number: int) -> int:
        path = tmp_path / str(number % 10) / str(number)
        with new_file(path) as temporary:
            temporary.touch()
        return path.stat().st_mode

    before, interval = os.umask(0o022), sys.getswitchinterval()
    # So short that threads take turns between any two lines.
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
    assert names_in(path) == ["a"]
    with new_folder(path) as temporary:
        (temporary / "c").write_text("three")
    assert names_in(path) == ["c"]
    assert names_in(tmp_path) == ["out"]


def test_a_full_disk_is_a_sentence_and_costs_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "out", "old")
    with (
        pytest.raises(ColorpipeError, match=r"unchanged: No space left on device \(photo\.png\)"),
        new_folder(path),
    ):
        raise OSError(28, os.strerror(28), "photo.png")
    with (
        pytest.raises(ColorpipeError, match=r"unchanged: No space left on device\.$"),
        new_folder(path),
    ):
        raise OSError(28, os.strerror(28))
    assert names_in(path) == ["old"]


def replace_folder(path: Path) -> None:
    with new_folder(path) as temporary:
        (temporary / "new").touch()


def run_until(path: Path, line: int, end: Callable[[], None]) -> bool:
    """Replace the folder ``path``; call ``end`` at the ``line``-th line that outputs.py runs.

    Returns:
        Whether that many lines were run.
    """
    run = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable | None:
        nonlocal run
        if frame.f_code.co_filename != outputs.__file__:
            return None
        run += event == "line"
        if event == "line" and run == line:
            end()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        replace_folder(path)
    finally:
        sys.settrace(before)
    return run >= line


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted_at(path: Path, line: int) -> bool:
    try:
        return run_until(path, line, interrupt)
    except KeyboardInterrupt:
        return True


def killed_at(path: Path, line: int) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(run_until(path, line, kill))
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("ended_at", [interrupted_at, killed_at])
def test_ctrl_c_or_a_kill_at_any_line_costs_no_folder(
    tmp_path: Path, ended_at: Callable[[Path, int], bool]
) -> None:
    line, found = 1, set[str]()
    while True:
        place = tmp_path / str(line)
        path = filled(place / "out", "old")
        if not ended_at(path, line):
            break
        # The next run clears up; nothing that it finds may be an empty folder just made.
        for left in place.iterdir():
            os.utime(left, (0, 0))
        with pytest.raises(RuntimeError), new_folder(path):
            raise RuntimeError
        assert names_in(place) == ["out"], f"line {line}"
        assert names_in(path) in (["old"], ["new"]), f"line {line}"
        found.update(names_in(path))
        shutil.rmtree(place)
        line += 1
    assert line > 30
    assert found == {"old", "new"}


def test_ctrl_c_leaves_the_old_folder_in_its_place(tmp_path: Path) -> None:
    line = 1
    while interrupted_at(filled(tmp_path / str(line) / "out", "old"), line):
        assert len(names_in(tmp_path / str(line) / "out")) == 1, f"line {line}"
        line += 1


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.symlink_to(filled(tmp_path / "disk/big", "old"))
    with new_folder(path) as temporary:
        (temporary / "new").touch()
        assert temporary.parent == tmp_path / "disk"
    assert path.is_symlink()
    assert names_in(tmp_path / "disk/big") == ["new"]


def test_what_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    mine = filled(tmp_path / ".writing-out-of-mine", "notes")
    with new_folder(tmp_path / "out") as first:
        (first / "a").touch()
        with new_folder(tmp_path / "out") as second:
            (second / "b").touch()
            assert first.exists()
    assert names_in(tmp_path / "out") == ["a"]
    assert mine.exists()


@pytest.mark.parametrize("has_old", [True, False])
def test_of_two_runs_at_the_same_moment_one_wins_and_the_other_says_so(
    tmp_path: Path, *, has_old: bool
) -> None:
    line, sentences = 1, list[str]()
    while True:
        path = tmp_path / str(line) / "out"
        if has_old:
            filled(path, "old")

        def other(path: Path = path) -> None:
            with new_folder(path) as temporary:
                (temporary / "other").touch()

        try:
            if not run_until(path, line, other):
                break
            assert names_in(path) in (["new"], ["other"]), f"line {line}"
        except ColorpipeError as error:
            sentences.append(str(error))
            assert names_in(path) == ["other"], f"line {line}"
        assert names_in(path.parent) == ["out"], f"line {line}"
        line += 1
    assert sentences
    assert all("something else wrote, moved or deleted it" in each for each in sentences)


def check(out: Path, *near: Path) -> None:
    check_replaceable(
        out,
        "--out",
        near=near,
        known=lambda file: file.endswith(".png"),
        looks_own=lambda path: path.stat().st_size == 0,
    )


def test_what_the_stage_wrote_may_be_replaced(tmp_path: Path) -> None:
    check(tmp_path / "out")
    filled(tmp_path / "out/sea", "a.png")
    check(tmp_path / "out", tmp_path / "other", tmp_path / "out2")


def test_what_a_desktop_or_a_nas_left_does_not_matter(tmp_path: Path) -> None:
    filled(tmp_path / "out/sea", "a.png")
    (tmp_path / "out/.DS_Store").touch()
    (tmp_path / "out/sea/Thumbs.db").touch()
    filled(tmp_path / "out/sea/@eaDir/a.png", "thumbnail.jpg")
    check(tmp_path / "out")


@pytest.mark.parametrize("name", ["sea/diary.txt", ".git/config"])
def test_what_the_stage_does_not_write_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).touch()
    with pytest.raises(ColorpipeError, match=f"holds {name}, which was not written by"):
        check(tmp_path / "out")


def test_files_that_only_look_like_the_stage_s_are_not_replaced(tmp_path: Path) -> None:
    filled(tmp_path / "out/sea", "a.png").joinpath("a.png").write_text("not empty")
    with pytest.raises(ColorpipeError, match=r"holds sea/a\.png, which was not written by"):
        check(tmp_path / "out")


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for place in ("photo.jpg/out", "photo.jpg/deep/out", "nowhere/out"):
        above = tmp_path / Path(place).parts[0]
        with pytest.raises(ColorpipeError, match=rf"because {above} is no folder; .* --out\.$"):
            check(tmp_path / place)
    check_place(tmp_path / "new/deep/out", "--out")


def test_a_folder_that_may_not_be_written_to_is_refused() -> None:
    with unprivileged_folder() as folder:
        locked = folder / "locked"
        filled(locked / "out", "a.png")
        locked.chmod(0o500)
        for out in (locked / "out", locked / "new/deep"):
            with pytest.raises(ColorpipeError, match=rf"{locked} may not be written to; .* --out"):
                check(out)


def test_folders_that_overlap_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "out/sea", "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "out/sea")
    for near in (tmp_path / "out", tmp_path / "out/sea", tmp_path, tmp_path / "link"):
        with pytest.raises(ColorpipeError, match=r"overlap; name another folder with --out\."):
            check(tmp_path / "out", near)
