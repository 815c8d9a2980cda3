from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.base import FoundPhoto, UnreadPhoto


def test_photos_are_one_category(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("00000000_(2).jpg", b"photo")
    for path in (tmp_path, tmp_path / "archive.zip"):
        items = find_photos(ScrapeParams(source="landscapes", path=path))
        item = next(items)
        assert isinstance(item, UnreadPhoto)
        photo = item.read()
        assert isinstance(photo, FoundPhoto)
        assert (photo.category, photo.data) == ("landscapes", b"photo")


def test_without_a_copy_the_error_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ColorpipeError, match="get it from https://www"):
        list(find_photos(ScrapeParams(source="landscapes")))
