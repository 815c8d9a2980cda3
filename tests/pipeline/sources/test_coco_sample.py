from __future__ import annotations

from pathlib import Path

import pytest
from archives import write_tar
from file_server import FileServer

from pipeline.download.official import DATASETS, OfficialFile
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import coco_sample, find_photos
from pipeline.sources.base import FoundPhoto, UnreadPhoto


def test_photos_are_one_category(tmp_path: Path) -> None:
    files = {
        "coco_sample/train_sample/000000000064.jpg": b"photo",
        "coco_sample/annotations/train_sample.json": b"{}",
    }
    path = write_tar(tmp_path / "coco_sample.tgz", files, "w:gz")
    [item] = find_photos(ScrapeParams(source="coco-sample", path=path))
    assert isinstance(item, UnreadPhoto)
    photo = item.read()
    assert isinstance(photo, FoundPhoto)
    assert (photo.category, photo.data) == ("coco", b"photo")


def test_a_download_that_fastai_does_not_describe_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with FileServer(b"other bytes") as server:
        monkeypatch.setattr(coco_sample, "ARCHIVE", OfficialFile(server.url("coco.tgz"), None))
        with pytest.raises(ColorpipeError, match="not the file that fastai describes"):
            list(find_photos(ScrapeParams(source="coco-sample")))
    assert not list(DATASETS.iterdir())
