from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from pipeline.download import rejections
from pipeline.download.cache import FRESH, DamagedError, DownloadCache
from pipeline.errors import ColorpipeError

URL = "http://example.org/a.jpg"


def test_bodies_and_rejections_are_remembered(tmp_path: Path) -> None:
    with DownloadCache(tmp_path / "cache") as cache:
        assert cache.find(URL) is None
        kept = cache.keep(URL, b"photo", "terms")
        cache.reject(URL + "2", rejections.HTTP_ERROR, "404", "others")
    with DownloadCache(tmp_path / "cache") as cache:
        assert cache.find(URL) == kept
        assert cache.read(kept) == b"photo"
        rejected = cache.find(URL + "2")
    assert rejected is not None
    assert (rejected.sha256, rejected.reason, rejected.detail, rejected.terms) == (
        "",
        rejections.HTTP_ERROR,
        "404",
        "others",
    )


def test_an_download_is_fresh_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    with DownloadCache(tmp_path) as cache:
        cache.reject(URL, rejections.HTTP_ERROR, "403", "")
    for passed, fresh in {0: True, FRESH - 1: True, FRESH: False, -60: False}.items():
        monkeypatch.setattr("time.time", lambda passed=passed: now + passed)
        with DownloadCache(tmp_path) as cache:
            download = cache.find(URL)
        assert download is not None
        assert download.fresh is fresh


def test_a_cache_that_another_process_has_just_made_can_be_used(tmp_path: Path) -> None:
    # It has not changed the journal's mode yet, and is about to write.
    other = sqlite3.connect(tmp_path / "downloads.sqlite", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, other.commit)
    done.start()
    with DownloadCache(tmp_path) as cache:
        kept = cache.keep(URL, b"photo", "terms")
        assert cache.find(URL) == kept
    done.join()
    other.close()


def test_one_content_is_stored_once(tmp_path: Path) -> None:
    with DownloadCache(tmp_path) as cache:
        first = cache.keep(URL, b"photo", "")
        second = cache.keep(URL + "2", b"photo", "")
        assert cache.path(first) == cache.path(second)
    assert [path.name for path in tmp_path.glob("??/*")] == [first.sha256]


def test_a_missing_or_truncated_body_is_not_found(tmp_path: Path) -> None:
    with DownloadCache(tmp_path) as cache:
        kept = cache.keep(URL, b"photo", "")
        cache.path(kept).write_bytes(b"pho")
        assert cache.find(URL) is None
        cache.path(kept).unlink()
        assert cache.find(URL) is None
        with pytest.raises(ColorpipeError, match="disappeared"):
            cache.read(kept)
        cache.keep(URL, b"photo", "")
        assert cache.find(URL) == kept


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ColorpipeError, match="cannot be used"):
        DownloadCache(tmp_path / "file")
    (tmp_path / "downloads.sqlite").write_bytes(b"not a database, but long enough to be read" * 100)
    with pytest.raises(ColorpipeError, match="cannot be used"):
        DownloadCache(tmp_path)


def test_a_body_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with DownloadCache(tmp_path) as cache:
        name = cache.keep(URL, b"photo", "").sha256
        for path in tmp_path.glob("??"):
            shutil.rmtree(path)
        (tmp_path / name[:2]).touch()
        with pytest.raises(ColorpipeError, match="cannot be used"):
            cache.keep(URL, b"photo", "")


def test_a_body_that_the_disk_damaged_is_deleted(tmp_path: Path) -> None:
    with DownloadCache(tmp_path) as cache:
        kept = cache.keep(URL, b"photo", "")
        cache.path(kept).write_bytes(b"phot0")
        assert cache.find(URL) == kept
        with pytest.raises(DamagedError, match="was damaged on the disk"):
            cache.read(kept)
        assert cache.find(URL) is None
        assert cache.read(cache.keep(URL, b"photo", "")) == b"photo"
