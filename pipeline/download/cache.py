"""A cache of downloads by URL that survives being killed at any moment.

Bodies are files named by the SHA-256 of their content; an SQLite table records what each URL gave.
A body is complete before its row is written, so rows can be trusted, and a body that the disk
damaged is recognized by its name. Photos are kept for good. Rejections and pages of search results
are fresh for a day, since a host may change its mind. The folder may be deleted at any time: it
saves downloads, and nothing else depends on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file

DOWNLOADS = Path(".colorpipe/downloads")
"""Where downloads are kept, relative to the working directory."""
FRESH = 24 * 60 * 60
"""Seconds: long enough to resume after an interruption, short enough to notice changes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS downloads (
    url TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    terms TEXT NOT NULL,
    saved REAL NOT NULL
) WITHOUT ROWID
"""
_FIND = "SELECT sha256, bytes, reason, detail, terms, saved FROM downloads WHERE url = ?"
_WRITE = """
INSERT OR REPLACE INTO downloads (url, sha256, bytes, reason, detail, terms, saved)
VALUES (:url, :sha256, :bytes, :reason, :detail, :terms, :saved)
"""


class DamagedError(ColorpipeError):
    """A body is no longer what was downloaded, and was deleted."""


@dataclass(frozen=True)
class Download:
    """What a URL gave: a body, or the reason why it was rejected."""

    sha256: str = ""
    """The hash of the body; empty if there is none."""
    bytes: int = 0
    reason: str = ""
    """One of :mod:`pipeline.download.rejections`; empty if there is a body."""
    detail: str = ""
    terms: str = ""
    """The conditions it was fetched under; whether they still hold is for the caller to check."""
    saved: float = field(default=0.0, compare=False)
    """When it entered the cache, in seconds since 1970."""

    @property
    def fresh(self) -> bool:
        """Whether it is younger than :data:`FRESH`; a date in the future does not count."""
        return 0 <= time.time() - self.saved < FRESH


class DownloadCache:
    """The cache in ``folder``; a context manager.

    Several processes may use one folder; the threads of one process must take turns.

    Args:
        folder: created if it does not exist.

    Raises:
        ColorpipeError: the folder cannot be used.
    """

    def __init__(self, folder: Path = DOWNLOADS) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._table = sqlite3.connect(
                folder / "downloads.sqlite", timeout=30, check_same_thread=False
            )
            # With these settings a kill loses nothing, and a power failure at most the last few
            # rows. With SQLite's own settings every row would wait for the disk.
            # SQLite does not wait to set this one while another process makes the table, which
            # sets it as well.
            with contextlib.suppress(sqlite3.OperationalError):
                self._table.execute("PRAGMA journal_mode=WAL")
            self._table.execute("PRAGMA synchronous=NORMAL")
            self._table.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> DownloadCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._table.close()

    def find(self, url: str) -> Download | None:
        """Return what ``url`` gave; None if it is unknown or its body has disappeared."""
        try:
            row = self._table.execute(_FIND, (url,)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        if row is None:
            return None
        download = Download(*row)
        return download if not download.sha256 or self._is_whole(download) else None

    def keep(self, url: str, body: bytes, terms: str) -> Download:
        """Store a body.

        Raises:
            ColorpipeError: it could not be written.
        """
        digest = hashlib.sha256(body).hexdigest()
        download = Download(sha256=digest, bytes=len(body), terms=terms, saved=time.time())
        if not self._is_whole(download):
            try:
                with new_file(self.path(download)) as temporary:
                    temporary.write_bytes(body)
            except OSError as error:
                raise self._unusable(error) from error
        self._write(url, download)
        return download

    def reject(self, url: str, reason: str, detail: str, terms: str) -> Download:
        """Store a rejection that another run would probably meet again.

        Raises:
            ColorpipeError: it could not be written.
        """
        download = Download(reason=reason, detail=detail, terms=terms, saved=time.time())
        self._write(url, download)
        return download

    def path(self, download: Download) -> Path:
        """Return the file that holds the body of a download."""
        return self.folder / download.sha256[:2] / download.sha256

    def read(self, download: Download) -> bytes:
        """Return the body of a download.

        Raises:
            DamagedError: the file has changed since; it is deleted.
            ColorpipeError: the file was deleted meanwhile.
        """
        path = self.path(download)
        try:
            body = path.read_bytes()
        except OSError as error:
            raise ColorpipeError(
                f"{path} disappeared while it was needed ({error.strerror}); run again."
            ) from error
        if hashlib.sha256(body).hexdigest() != download.sha256:
            path.unlink(missing_ok=True)
            raise DamagedError(f"{path} was damaged on the disk and is deleted; run again.")
        return body

    def _is_whole(self, download: Download) -> bool:
        try:
            return self.path(download).stat().st_size == download.bytes
        except OSError:
            return False

    def _write(self, url: str, download: Download) -> None:
        try:
            with self._table:
                self._table.execute(_WRITE, {"url": url, **dataclasses.asdict(download)})
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError | sqlite3.Error) -> ColorpipeError:
        why = error.strerror if isinstance(error, OSError) else error
        return ColorpipeError(
            f"The download cache {self.folder} cannot be used ({why}); free some disk space and"
            " make the folder writable, or delete it."
        )
