from __future__ import annotations

import hashlib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from file_server import FileServer

from pipeline.download.official import OfficialFile, obtain
from pipeline.errors import ColorpipeError

BODY = bytes(range(256)) * 4096
MD5 = hashlib.md5(BODY).hexdigest()


def test_an_official_file_is_downloaded_once_and_checked(tmp_path: Path) -> None:
    with FileServer(BODY) as server:
        file = OfficialFile(server.url("photos.tar"), MD5)
        for _ in range(2):
            path = obtain(file, tmp_path)
            assert path.name == "photos.tar"
            assert path.read_bytes() == BODY
        assert len(server.ranges) == 1


def test_a_file_with_another_hash_is_not_kept(tmp_path: Path) -> None:
    with FileServer(BODY) as server:
        wrong = OfficialFile(server.url("photos.tar"), "0" * 32)
        with pytest.raises(ColorpipeError, match=r"does not have the published MD5.*--path"):
            obtain(wrong, tmp_path / "datasets")
    assert not list((tmp_path / "datasets").iterdir())


def test_without_a_network_the_error_suggests_a_copy(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"could not be downloaded.*--path"):
        obtain(OfficialFile("http://127.0.0.1:1/file.tar", None), tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "if_range"),
    [
        ({"ETag": '"1"'}, {"ETag": '"1"'}, '"1"'),
        ({"ETag": 'W/"1"', "Last-Modified": "then"}, {"Last-Modified": "then"}, "then"),
        ({"ETag": '"1"'}, {"ETag": '"2"'}, '"1"'),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, None),
        ({}, {}, None),
    ],
)
def test_an_interrupted_download_is_resumed(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], if_range: str | None
) -> None:
    with FileServer(BODY, [before, after], hang_up=True) as server:
        file = OfficialFile(server.url("photos.tar"), MD5)
        with pytest.raises(ColorpipeError, match=r"could not be downloaded.*run again"):
            obtain(file, tmp_path)
        part = (tmp_path / "photos.tar.part").stat().st_size
        assert obtain(file, tmp_path).read_bytes() == BODY
    assert part > 2
    resumed = (None, None) if if_range is None else (f"bytes={part - 1}-", if_range)
    assert server.ranges == [(None, None), resumed]
    assert [path.name for path in tmp_path.iterdir()] == ["photos.tar"]


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can tell there")
def test_a_file_that_another_command_downloads_is_left_to_it(tmp_path: Path) -> None:
    until = threading.Event()
    with FileServer(BODY, until=until) as server, ThreadPoolExecutor(1) as pool:
        file = OfficialFile(server.url("photos.tar"), MD5)
        first = pool.submit(obtain, file, tmp_path)
        try:
            while not server.ranges:
                time.sleep(0.01)
            with pytest.raises(ColorpipeError, match=r"is downloaded by another command"):
                obtain(file, tmp_path)
        finally:
            until.set()
        assert first.result().read_bytes() == BODY
        assert obtain(file, tmp_path) == first.result()
    assert [path.name for path in tmp_path.iterdir()] == ["photos.tar"]


def test_a_complete_but_unchecked_download_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "photos.tar.part").write_bytes(BODY)
    (tmp_path / "photos.tar.part.tag").write_text('"1"')
    with FileServer(BODY, [{"ETag": '"1"'}]) as server:
        assert obtain(OfficialFile(server.url("photos.tar"), MD5), tmp_path).read_bytes() == BODY
    assert server.ranges == [(f"bytes={len(BODY) - 1}-", '"1"')]
