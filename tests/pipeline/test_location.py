"""Paths and URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.location import Url, parse_location


def test_paths_stay_paths() -> None:
    for text in ("photos", "/photos", "C:\\photos", "a:b", "s3:photos", "."):
        assert parse_location(text) == Path(text)
    assert parse_location(Path("photos")) == Path("photos")


def test_a_url_has_a_name_and_what_it_lies_in() -> None:
    url = parse_location("S3://bucket/a folder/ü@home.jpg/")
    assert isinstance(url, Url)
    assert str(url) == "s3://bucket/a folder/ü@home.jpg"
    assert url.name == "ü@home.jpg"
    assert str(url.parent) == "s3://bucket/a folder"
    assert url.parent / url.name == url
    bucket = parse_location("gs://bucket")
    assert isinstance(bucket, Url)
    assert bucket.parent / bucket.name == bucket


def test_a_folder_holds_what_lies_below_it() -> None:
    folder = Url("s3", "bucket/in")
    assert folder.holds(folder)
    assert folder.holds(folder / "a")
    assert not folder.holds(Url("s3", "bucket/inside"))
    assert not folder.holds(Url("gs", "bucket/in"))
    assert not folder.holds(Path("in"))


def test_the_query_of_a_url_is_used_and_never_shown() -> None:
    url = parse_location("https://example.com/a.jpg?X-Amz-Signature=secret#part")
    assert isinstance(url, Url)
    assert url.query == "X-Amz-Signature=secret"
    assert "secret" not in str(url)


@pytest.mark.parametrize("scheme", ["s3", "https", "ftp"])
@pytest.mark.parametrize("user", ["name", "name:hunter2", ":hunter2", "a/b"])
def test_a_password_is_refused_and_not_repeated(scheme: str, user: str) -> None:
    if "/" in user:  # in the name of an object
        assert "@" in str(parse_location(f"s3://bucket/{user}@host"))
        return
    with pytest.raises(ColorpipeError, match="user name or password") as raised:
        parse_location(f"{scheme}://{user}@bucket/photos")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://host/photos", "URLs that begin with ftp:// cannot be read"),
        ("file:///photos", "URLs that begin with file:// cannot be read"),
        ("s3://", "'s3://' names no bucket"),
        ("s3:///photos", "names no bucket"),
        ("", "A path is empty"),
    ],
)
def test_what_is_no_usable_place_is_said(text: str, said: str) -> None:
    with pytest.raises(ColorpipeError, match=said):
        parse_location(text)
