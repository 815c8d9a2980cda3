from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from archives import write_tar
from file_server import FileServer

from pipeline.download.official import OfficialFile
from pipeline.errors import ColorpipeError
from pipeline.params import INBOX, ScrapeParams
from pipeline.sources import find_photos, places365
from pipeline.sources.base import UnreadPhoto

LISTS = {
    "categories_places365.txt": b"/a/airfield 0\n/a/apartment_building/outdoor 1\n",
    "places365_val.txt": b"Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n",
}
VALIDATION = {f"val_256/Places365_val_0000000{n}.jpg": b"photo" for n in (1, 2, 3)}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def categories(path: Path = INBOX) -> list[str]:
    items = list(find_photos(ScrapeParams(source="places365", path=path)))
    assert all(isinstance(item, UnreadPhoto) for item in items)
    return [item.category for item in items if isinstance(item, UnreadPhoto)]


@pytest.mark.parametrize("packed", [True, False])
def test_validation_photos_get_their_labels_from_the_lists(packed: bool) -> None:
    if packed:
        write_tar(Path("in/filelist_places365-standard.tar"), LISTS)
    else:
        Path("in").mkdir()
        for name, data in LISTS.items():
            (Path("in") / name).write_bytes(data)
    path = write_tar(Path("in/val_256.tar"), VALIDATION)
    for given in (path, path.parent):
        # The third photo is not in the list, and so not in the data set.
        assert categories(given) == ["apartment_building-outdoor", "airfield"]


def test_without_labels_photos_are_one_category() -> None:
    path = write_tar(Path("in/val_256.tar"), VALIDATION)
    assert categories(path) == ["places365"] * 3


def test_training_photos_are_in_a_folder_for_each_class() -> None:
    files = {
        "data_256/a/airfield/00000001.jpg": b"photo",
        "data_256/a/apartment_building/outdoor/00000001.jpg": b"photo",
    }
    path = write_tar(Path("in/train_256_places365standard.tar"), files)
    assert categories(path) == ["airfield", "apartment_building-outdoor"]


def test_a_class_that_cannot_name_a_folder_is_an_error() -> None:
    path = write_tar(Path("in/train.tar"), {"data_256/a/!!!/1.jpg": b"photo"})
    with pytest.raises(ColorpipeError, match=r"^data_256/a/!!!/1\.jpg: '!!!' has no letter"):
        categories(path)
    lists = {**LISTS, "categories_places365.txt": b"/a/!!! 0\n"}
    write_tar(Path("in/filelist_places365-standard.tar"), lists)
    with pytest.raises(ColorpipeError, match=r"categories_places365\.txt: '!!!' has no letter"):
        categories(path)


def test_damaged_lists_are_an_error() -> None:
    write_tar(Path("in/val_256.tar"), VALIDATION)
    lists = Path("in/filelist_places365-standard.tar")
    write_tar(lists, {"categories_places365.txt": b""})
    with pytest.raises(ColorpipeError, match="lacks"):
        categories(Path("in/val_256.tar"))
    write_tar(lists, {**LISTS, "places365_val.txt": b"Places365_val_00000001.jpg 9\n"})
    with pytest.raises(ColorpipeError, match="not as published"):
        categories(Path("in/val_256.tar"))


def test_without_a_copy_the_official_files_are_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_tar(tmp_path / "val_256.tar", VALIDATION).read_bytes()
    lists = write_tar(tmp_path / "lists.tar", LISTS).read_bytes()
    with FileServer(archive) as photos, FileServer(lists) as labels:
        for name, server in {"VALIDATION": photos, "FILE_LISTS": labels}.items():
            md5 = hashlib.md5(server.body).hexdigest()
            monkeypatch.setattr(places365, name, OfficialFile(server.url(f"{name}.tar"), md5))
        for _ in range(2):
            assert categories() == ["apartment_building-outdoor", "airfield"]
        assert len(photos.ranges) == len(labels.ranges) == 1


def test_a_missing_copy_is_an_error_rather_than_a_download() -> None:
    with pytest.raises(ColorpipeError, match="could not be read"):
        categories(Path("none.tar"))
