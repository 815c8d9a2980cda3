from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.remote import Link
from pipeline.sources.urls import read_links


def test_a_text_file_has_a_url_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "my list.txt"
    path.write_text("# photos\nhttp://a/1.jpg\n\n http://a/2.jpg#x \nhttp://a/1.jpg\n")
    assert read_links(path) == {"my-list": [Link("http://a/1.jpg"), Link("http://a/2.jpg#x")]}


def test_a_table_may_have_more_columns(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "name,category,url,page,license\nx,../sea,http://a/1.jpg,http://a,CC0\n,,http://a/2.jpg\n,,,\n"
    )
    assert read_links(path) == {
        "sea": [Link("http://a/1.jpg", "http://a", "", "CC0")],
        "list": [Link("http://a/2.jpg")],
    }


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.txt", "# none\n", "holds no URL"),
        ("a.csv", "", "has no column 'url'"),
        ("a.csv", "http://a/1.jpg\n", "has no column 'url'"),
        ("a.csv", "url\n", "holds no URL"),
        ("a.csv", 'url\nhttp://a/1.jpg\n"http://a/2.jpg\nhttp://a/3.jpg\n', "line 3: the row"),
        ("a.csv", 'url\n\n"http://a/2.jpg' + "\n" * 200_000, "a.csv, line 3: the row"),
        ("a.csv", '"url\nhttp://a/1.jpg\n', "a.csv, line 1: the row"),
        ("a.csv", 'url,page\n"http://a/1.jpg,p\nx",p\n', "line 2: the row runs into the next"),
        ("a.csv", 'category,url\n"sea\nsea",u\n', "line 2: the row runs into the next"),
        ("a.csv", 'category,url\n"a",u\n"b"c,u\n', "line 3: the row"),
        ("a.csv", "url,category\nhttp://a/1.jpg,sea\nhttp://a/2.jpg,???\n", "line 3: '???' has no"),
        ("a.csv", "url,category\nu,C\nu,c\nu,C++\n", "lines 2 and 4: 'C' and 'C++' would both"),
        ("---.txt", "# why\nhttp://a/1.jpg\n", "line 2: '---' has no"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(
    tmp_path: Path, name: str, text: str, part: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ColorpipeError) as caught:
        find_photos(ScrapeParams(source="urls", path=tmp_path / name))
    assert part in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_an_unused_column_may_hold_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('url,title\nhttp://a/1.jpg,"two\nlines, ""both"" mine"\nhttp://a/2.jpg,x\n')
    assert read_links(path) == {"list": [Link("http://a/1.jpg"), Link("http://a/2.jpg")]}


def test_categories_that_differ_only_in_case_are_one(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("category,url\nBeach,http://a/1.jpg\nbeach,http://a/2.jpg\n")
    assert read_links(path) == {"Beach": [Link("http://a/1.jpg"), Link("http://a/2.jpg")]}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="is missing"):
        find_photos(ScrapeParams(source="urls", path=tmp_path / "none.txt"))
    with pytest.raises(ColorpipeError, match="needs a file"):
        find_photos(ScrapeParams(source="urls"))
