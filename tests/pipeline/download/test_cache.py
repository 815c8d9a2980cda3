from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from pipeline.download import rejections as reasons
from pipeline.download.cache import FRESH, DamagedError, Downloads
from pipeline.errors import ColorpipeError

URL = "http://example.org/a.jpg"


def test_bodies_and_refusals_are_remembered(tmp_path: Path) -> None:
    with Downloads(tmp_path / "cache") as downloads:
        assert downloads.find(URL) is None
        kept = downloads.keep(URL, b"photo", "terms")
        downloads.refuse(URL + "2", reasons.HTTP_ERROR, "404", "others")
    with Downloads(tmp_path / "cache") as downloads:
        assert downloads.find(URL) == kept
        assert downloads.read(kept) == b"photo"
        refused = downloads.find(URL + "2")
    assert refused is not None
    assert (refused.sha256, refused.reason, refused.detail, refused.terms) == (
        "",
        reasons.HTTP_ERROR,
        "404",
        "others",
    )


def test_an_answer_is_fresh_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    with Downloads(tmp_path) as downloads:
        downloads.refuse(URL, reasons.HTTP_ERROR, "403", "")
    for passed, fresh in {0: True, FRESH - 1: True, FRESH: False, -60: False}.items():
        monkeypatch.setattr("time.time", lambda passed=passed: now + passed)
        with Downloads(tmp_path) as downloads:
            answer = downloads.find(URL)
        assert answer is not None
        assert answer.fresh is fresh


def test_a_folder_that_knew_no_ages_keeps_its_bodies(tmp_path: Path) -> None:
    with Downloads(tmp_path) as downloads:
        kept = downloads.keep(URL, b"photo", "terms")
    columns = "url, sha256, bytes, reason, detail, terms"
    with contextlib.closing(sqlite3.connect(tmp_path / "answers.sqlite")) as table:
        table.execute(f"CREATE TABLE old AS SELECT {columns} FROM answers")
        table.execute("DROP TABLE answers")
        table.execute(
            "CREATE TABLE answers (url TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes INTEGER NOT"
            " NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, terms TEXT NOT NULL) WITHOUT ROWID"
        )
        table.execute("INSERT INTO answers SELECT * FROM old")
        table.commit()
    for _ in range(2):
        with Downloads(tmp_path) as downloads:
            found = downloads.find(URL)
            assert found == kept
            assert not found.fresh
            downloads.refuse(URL + "2", reasons.HTTP_ERROR, "403", "")


def test_one_content_is_stored_once(tmp_path: Path) -> None:
    with Downloads(tmp_path) as downloads:
        first = downloads.keep(URL, b"photo", "")
        second = downloads.keep(URL + "2", b"photo", "")
        assert downloads.path(first) == downloads.path(second)
    assert [path.name for path in tmp_path.glob("??/*")] == [first.sha256]


def test_a_body_that_is_gone_or_cut_is_not_known(tmp_path: Path) -> None:
    with Downloads(tmp_path) as downloads:
        kept = downloads.keep(URL, b"photo", "")
        downloads.path(kept).write_bytes(b"pho")
        assert downloads.find(URL) is None
        downloads.path(kept).unlink()
        assert downloads.find(URL) is None
        with pytest.raises(ColorpipeError, match="vanished"):
            downloads.read(kept)
        downloads.keep(URL, b"photo", "")
        assert downloads.find(URL) == kept


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ColorpipeError, match="cannot be used"):
        Downloads(tmp_path / "file")
    (tmp_path / "answers.sqlite").write_bytes(b"not a database, but long enough to be read" * 100)
    with pytest.raises(ColorpipeError, match="cannot be used"):
        Downloads(tmp_path)


def test_a_body_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with Downloads(tmp_path) as downloads:
        name = downloads.keep(URL, b"photo", "").sha256
        for path in tmp_path.glob("??"):
            shutil.rmtree(path)
        (tmp_path / name[:2]).touch()
        with pytest.raises(ColorpipeError, match="cannot be used"):
            downloads.keep(URL, b"photo", "")


def test_a_body_that_the_disk_damaged_is_told_and_not_known_again(tmp_path: Path) -> None:
    with Downloads(tmp_path) as downloads:
        kept = downloads.keep(URL, b"photo", "")
        downloads.path(kept).write_bytes(b"phot0")
        assert downloads.find(URL) == kept
        with pytest.raises(DamagedError, match="was damaged on the disk"):
            downloads.read(kept)
        assert downloads.find(URL) is None
        assert downloads.read(downloads.keep(URL, b"photo", "")) == b"photo"
