from pathlib import Path, PurePosixPath

import pytest

from pipeline.files.listing import (
    distinct_stems,
    files_below,
    files_in,
    folders_in,
    printable,
    stem_and_suffix,
)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_files_and_folders_come_sorted_and_hidden_files_do_not(tmp_path: Path) -> None:
    fill(tmp_path, "b.jpg", "a.jpg", ".hidden", "sky/one.jpg", "Sea/one.jpg", ".trash/one.jpg")
    assert files_in(tmp_path) == ["a.jpg", "b.jpg"]
    assert folders_in(tmp_path) == [tmp_path / "Sea", tmp_path / "sky"]


def test_files_below_are_found_at_any_depth_in_the_order_of_their_parts(tmp_path: Path) -> None:
    names = ["a/b.jpg", "a/c/d.jpg", "a.jpg", ".hidden", "z.jpg"]
    found = list(files_below(str(fill(tmp_path, *names))))
    assert sorted(found) == sorted(names)
    assert [tmp_path / name for name in found] == sorted(tmp_path / name for name in names)


def test_a_broken_link_is_a_file_and_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "real/photo.jpg")
    (tmp_path / "real/broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "real/circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "real/round").symlink_to(tmp_path / "real")
    found = ["broken.jpg", "circle.jpg", "photo.jpg"]
    assert list(files_below(str(tmp_path / "real"))) == files_in(tmp_path / "real") == found
    assert folders_in(tmp_path / "real") == [tmp_path / "real/round"]


@pytest.mark.parametrize(
    "path", ["a.jpg", "a.tar.gz", "none", ".hidden", ".hidden.png", "sea.d/none", "sea.d/a b.JPEG"]
)
def test_a_name_is_cut_as_pathlib_does(path: str) -> None:
    assert stem_and_suffix(path) == (PurePosixPath(path).stem, PurePosixPath(path).suffix)


def stems(*files: str, room: int = 100) -> list[str]:
    return list(distinct_stems(sorted(files), ".jpg", room, lambda stem: stem).values())


def test_a_stem_is_the_file_s_own_and_a_newcomer_changes_none() -> None:
    assert stems("a.png", "b.jpg", "c") == ["a", "b", "c"]
    jpeg, jpg, upper = stems("a.jpeg", "a.jpg", "b.JPG")
    assert (jpg, upper) == ("a", "b")
    assert jpeg.startswith("a_")
    first, *others = stems("A.jpeg", "A.png", "a.jpg", "a.webp")[::-1]
    assert stems("A.jpeg", "a.jpg")[0] in others
    assert len({stem.casefold() for stem in (first, *others)}) == 4
    assert "a" in others


def test_a_stem_that_is_too_long_is_cut_between_characters_and_marked() -> None:
    long = "城市" * 40
    one, other = stems(f"{long}1.jpg", f"{long}2.jpg", room=100)
    assert one != other
    for stem in (one, other):
        assert 95 < len(stem.encode()) <= 100
        assert long.startswith(stem.rpartition("_")[0])


def test_what_is_no_text_is_replaced() -> None:
    assert printable("caf\udce9 城") == "caf? 城"
    assert printable("caf\udce9", "_") == "caf_"
