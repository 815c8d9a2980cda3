"""The data sets that come as archives of photos: COCO's sample, landscapes and Places365."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import Found, Later, Offer, Refusal, archived, open_source, places365
from pipeline.sources.archived import OfficialFile, obtain
from pipeline.sources.base import INBOX

LISTS = {
    "categories_places365.txt": b"/a/airfield 0\n/a/apartment_building/outdoor 1\n",
    "places365_val.txt": b"Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n",
}


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def find(source: str, path: Path = INBOX) -> list[Found]:
    params = ScrapeParams(source=source, path=path)  # type: ignore[arg-type]
    return [found.read() if isinstance(found, Later) else found for found in open_source(params)]


def categories(found: list[Found]) -> list[str]:
    assert all(isinstance(offer, Offer) for offer in found)
    return [offer.category for offer in found]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


VALIDATION = {f"val_256/Places365_val_0000000{n}.jpg": b"photo" for n in (1, 2, 3)}


@pytest.mark.parametrize("packed", [True, False])
def test_places365_validation_photos_get_their_labels_from_the_lists(packed: bool) -> None:
    if packed:
        write_tar(Path("in/filelist_places365-standard.tar"), LISTS)
    else:
        Path("in").mkdir()
        for name, data in LISTS.items():
            (Path("in") / name).write_bytes(data)
    path = write_tar(Path("in/val_256.tar"), VALIDATION)
    for given in (path, path.parent):
        # The third photo is not in the list: it is none of the data set's.
        assert categories(find("places365", given)) == ["apartment_building-outdoor", "airfield"]


def test_places365_without_lists_is_one_category() -> None:
    path = write_tar(Path("in/val_256.tar"), VALIDATION)
    assert categories(find("places365", path)) == ["places365"] * 3


def test_places365_training_photos_lie_in_folders_of_their_class() -> None:
    files = {
        "data_256/a/airfield/00000001.jpg": b"photo",
        "data_256/a/apartment_building/outdoor/00000001.jpg": b"photo",
    }
    path = write_tar(Path("in/train_256_places365standard.tar"), files)
    assert categories(find("places365", path)) == ["airfield", "apartment_building-outdoor"]


def test_a_class_without_a_name_is_told_with_its_place() -> None:
    path = write_tar(Path("in/train.tar"), {"data_256/a/!!!/1.jpg": b"photo"})
    with pytest.raises(ColorpipeError, match=r"^data_256/a/!!!/1\.jpg: '!!!' has no letter"):
        find("places365", path)
    lists = {**LISTS, "categories_places365.txt": b"/a/!!! 0\n"}
    write_tar(Path("in/filelist_places365-standard.tar"), lists)
    with pytest.raises(ColorpipeError, match=r"categories_places365\.txt: '!!!' has no letter"):
        find("places365", path)


def test_damaged_lists_are_told() -> None:
    write_tar(Path("in/val_256.tar"), VALIDATION)
    lists = Path("in/filelist_places365-standard.tar")
    write_tar(lists, {"categories_places365.txt": b""})
    with pytest.raises(ColorpipeError, match="lacks"):
        find("places365", Path("in/val_256.tar"))
    write_tar(lists, {**LISTS, "places365_val.txt": b"Places365_val_00000001.jpg 9\n"})
    with pytest.raises(ColorpipeError, match="not as published"):
        find("places365", Path("in/val_256.tar"))


def test_coco_and_landscapes_are_one_category_each() -> None:
    files = {
        "coco_sample/train_sample/000000000064.jpg": b"photo",
        "coco_sample/annotations/train_sample.json": b"{}",
        "coco_sample/train_sample/._000000000064.jpg": b"a shadow file of macOS",
        "coco_sample/.thumbnails/000000000064.jpg": b"a file manager's",
        "coco_sample/@eaDir/000000000064.jpg/SYNOPHOTO_THUMB_M.jpg": b"a NAS's",
    }
    [offer] = find("coco-sample", write_tar(Path("in/coco_sample.tgz"), files))
    assert isinstance(offer, Offer)
    assert (offer.category, offer.data) == ("coco", b"photo")
    with zipfile.ZipFile("archive.zip", "w") as archive:
        archive.writestr("00000000_(2).jpg", b"photo")
        archive.writestr("large.jpg", bytes(31_000_000))
    small, large = find("landscapes", Path("archive.zip"))
    assert isinstance(small, Offer)
    assert small.category == "landscapes"
    assert isinstance(large, Refusal)


def test_an_archive_without_photos_is_told() -> None:
    path = write_tar(Path("in/coco_sample.tgz"), {"notes.txt": b""})
    with pytest.raises(ColorpipeError, match="holds no photos of this data set"):
        find("coco-sample", path)


def test_a_missing_copy_is_told_and_not_replaced_by_a_download() -> None:
    for source in ("coco-sample", "places365", "cifar10", "landscapes"):
        with pytest.raises(ColorpipeError, match="could not be read"):
            find(source, Path("none.zip"))


def test_landscapes_cannot_be_downloaded() -> None:
    with pytest.raises(ColorpipeError, match="members only; download it from"):
        open_source(ScrapeParams(source="landscapes"))


def test_an_official_file_is_downloaded_once_and_checked(tmp_path: Path) -> None:
    """From a server on this machine, in place of the official one."""
    public = tmp_path / "public"
    write_tar(public / "val_256.tar", VALIDATION)
    write_tar(public / "filelist_places365-standard.tar", LISTS)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(public))  # type: ignore[arg-type]

        def log_message(self, format: str, *given: object) -> None:
            asked.append(self.path)

    def official(name: str) -> OfficialFile:
        md5 = hashlib.md5((public / name).read_bytes()).hexdigest()
        return OfficialFile(f"http://127.0.0.1:{server.server_port}/{name}", md5)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(places365, "VALIDATION", official("val_256.tar"))
            patch.setattr(places365, "FILE_LISTS", official("filelist_places365-standard.tar"))
            for _ in range(2):
                found = find("places365")
                assert categories(found) == ["apartment_building-outdoor", "airfield"]
        assert len(asked) == 2

        wrong = OfficialFile(official("val_256.tar").url, "0" * 32)
        with pytest.raises(ColorpipeError, match=r"could not be had.*--path"):
            obtain(wrong, tmp_path / "other")
        assert not list((tmp_path / "other").iterdir())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archived, "COCO_SAMPLE", OfficialFile(wrong.url, None))
            with pytest.raises(ColorpipeError, match="not the file that fastai describes"):
                list(open_source(ScrapeParams(source="coco-sample")))
        server.shutdown()


def test_without_a_network_the_other_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"could not be had.*--path"):
        obtain(OfficialFile("http://127.0.0.1:1/file.tar", None), tmp_path)


BODY = bytes(range(256)) * 4096
"""Of the file that :class:`Unsteady` serves."""


class Unsteady(BaseHTTPRequestHandler):
    """Hangs up in the middle of the first answer, whatever it is asked for; then serves well."""

    tags: ClassVar[list[dict[str, str]]]
    """The headers that tell its file, by request."""
    asked: ClassVar[list[tuple[str | None, str | None]]]

    def do_GET(self) -> None:
        tags = self.tags[len(self.asked)]
        given = self.headers["Range"], self.headers["If-Range"]
        first = not self.asked
        self.asked.append(given)
        start = 0
        if given[0] is not None and given[1] in tags.values():
            start = int(given[0].removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(BODY) - start))
        for name, value in tags.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(BODY[start : len(BODY) // 2 if first else len(BODY)])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize(
    ("before", "after", "resumes"),
    [
        ({"ETag": '"1"'}, {"ETag": '"1"'}, '"1"'),
        ({"ETag": 'W/"1"', "Last-Modified": "then"}, {"Last-Modified": "then"}, "then"),
        ({"ETag": '"1"'}, {"ETag": '"2"'}, '"1"'),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, None),
        ({}, {}, None),
    ],
)
def test_a_download_that_was_cut_off_is_gone_on_with(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], resumes: str | None
) -> None:
    class Handler(Unsteady):
        tags: ClassVar = [before, after]
        asked: ClassVar = []

    folder = tmp_path / "datasets"
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/photos.tar"
        file = OfficialFile(url, hashlib.md5(BODY).hexdigest())
        with pytest.raises(ColorpipeError, match=r"could not be had.*run again"):
            obtain(file, folder)
        part = (folder / "photos.tar.part").stat().st_size
        assert obtain(file, folder).read_bytes() == BODY
        server.shutdown()
    assert part > 2
    given = (None, None) if resumes is None else (f"bytes={part - 1}-", resumes)
    assert Handler.asked == [(None, None), given]
    assert [path.name for path in folder.iterdir()] == ["photos.tar"]


def test_a_download_that_ended_before_it_was_checked_is_not_made_again(tmp_path: Path) -> None:
    class Handler(Unsteady):
        tags: ClassVar = [{"ETag": '"1"'}] * 2
        asked: ClassVar = [(None, None)]

    (tmp_path / "photos.tar.part").write_bytes(BODY)
    (tmp_path / "photos.tar.part.tag").write_text('"1"')
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/photos.tar"
        assert obtain(OfficialFile(url, None), tmp_path).read_bytes() == BODY
        server.shutdown()
    assert Handler.asked[1:] == [(f"bytes={len(BODY) - 1}-", '"1"')]


def test_a_folder_in_a_data_set_that_may_not_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_tar(Path("in/a.tar"), {})
    Path("in/photos").mkdir()
    Path("in/photos/a.jpg").write_bytes(b"photo")
    real = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("photos"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(ColorpipeError, match=r"photos could not be read \(Permission denied\)"):
        find("coco-sample", Path("in"))
