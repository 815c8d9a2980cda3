from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.sources.categories import MAX_LENGTH, Category, folder_name, read_categories


def write(folder: Path, text: str) -> Path:
    path = folder / "cats.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_line_is_a_category_with_an_optional_query(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff# all of them\nbeach\n\n  nature : Nature photo # why\nc#s\n")
    assert read_categories(path) == (
        Category("beach", "beach"),
        Category("nature", "Nature photo"),
        Category("c-s", "c#s"),
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "holds no category"),
        ("# nothing\n\n", "holds no category"),
        ("beach\nsea\nbeach\n", "lines 1 and 3"),
        ("Beach\nbeach\n", "lines 1 and 2"),
        ("a b\na-b\n", "lines 1 and 2"),
        (": query\n", "line 1: there is no name"),
        ("name:\n", "line 1: there is no query"),
        ("beach\n...\n", "line 2: '...' has no letter"),
    ],
)
def test_an_error_names_the_line_of_the_file(tmp_path: Path, text: str, part: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ColorpipeError) as caught:
        read_categories(path)
    assert part in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="is missing"):
        read_categories(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ColorpipeError, match="not UTF-8"):
        read_categories(tmp_path / "binary")
    with pytest.raises(ColorpipeError, match=r"could not be read .* another file with --categ"):
        read_categories(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../x", "x"),
        ("..", None),
        ("/etc/passwd", "etc-passwd"),
        ("C:\\Windows", "C-Windows"),
        ("con", "con_"),
        ("Com1", "Com1_"),
        ("lpt¹", "lpt1_"),
        ("console", "console"),
        ("recycler", "recycler_"),
        ("__MACOSX", "__MACOSX_"),
        ("nul.txt", "nul-txt"),
        ("a\x00b\nc", "a-b-c"),
        ("café au lait", "cafe-au-lait"),
        ("🌲", "evergreen-tree"),
        ("❤️ hearts", "heavy-black-heart-hearts"),
        ("桜", "u685c"),
        ("still-life_1", "still-life_1"),
        ("-rf", "rf"),
        ("manifest.csv", "manifest-csv"),
    ],
)
def test_folder_names_are_safe_everywhere(text: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(ColorpipeError):
            folder_name(text, "cats.txt")
    else:
        assert folder_name(text, "cats.txt") == name
        assert folder_name(name, "cats.txt") == name


def test_a_long_name_is_cut() -> None:
    assert len(folder_name("x" * 300, "cats.txt")) == MAX_LENGTH
