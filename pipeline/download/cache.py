"""What was downloaded before: a cache by URL that outlives a kill at any moment.

Bodies are files named by the SHA-256 of their content; an SQLite table tells what each URL gave.
A body is complete before its row is written, so a row can be trusted; a body that the disk damaged
is known by its name. What the web may think better of, a refusal or a page of results, is fresh for
a day; a photo stays. The folder can be deleted at any time: it saves downloads, and nothing else
depends on it.
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

FOLDER = Path(".colorpipe/downloads")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    terms TEXT NOT NULL,
    given REAL NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
# For a folder of a colorpipe that knew no ages: what it was refused is asked for again.
_UPGRADE = "ALTER TABLE answers ADD COLUMN given REAL NOT NULL DEFAULT 0"
_FIND = "SELECT sha256, bytes, reason, detail, terms, given FROM answers WHERE url = ?"
_WRITE = """
INSERT OR REPLACE INTO answers (url, sha256, bytes, reason, detail, terms, given)
VALUES (:url, :sha256, :bytes, :reason, :detail, :terms, :given)
"""


class DamagedError(ColorpipeError):
    """A body is no longer what was downloaded, and was deleted."""


FRESH = 24 * 60 * 60
"""Seconds: long enough to go on after an interruption, short enough to follow a change of mind."""


@dataclass(frozen=True)
class Answer:
    """What a URL gave: a body, or the reason why it was refused."""

    sha256: str = ""
    """Of the body; empty when there is none."""
    bytes: int = 0
    reason: str = ""
    """One of :mod:`pipeline.download.rejections`; empty when there is a body."""
    detail: str = ""
    terms: str = ""
    """What the asker promised or demanded; whether it still holds is for the asker to say."""
    given: float = field(default=0.0, compare=False)
    """When it was remembered, in seconds since 1970."""

    @property
    def fresh(self) -> bool:
        """Whether it is no older than :data:`FRESH`; what a wrong clock dated ahead is not."""
        return 0 <= time.time() - self.given < FRESH


class Downloads:
    """The cache in ``folder``; a context manager.

    Several processes may use one folder; the threads of one have to take turns.

    Args:
        folder: made when it does not exist.

    Raises:
        ColorpipeError: the folder cannot be used.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._table = sqlite3.connect(
                folder / "answers.sqlite", timeout=30, check_same_thread=False
            )
            # A kill loses nothing so; the loss of power at most the last few answers. With
            # SQLite's own settings each answer would wait for the disk.
            self._table.execute("PRAGMA journal_mode=WAL")
            self._table.execute("PRAGMA synchronous=NORMAL")
            self._table.execute(_SCHEMA)
            columns = {row[1] for row in self._table.execute("PRAGMA table_info(answers)")}
            if "given" not in columns:
                # Another process may have added it meanwhile.
                with contextlib.suppress(sqlite3.OperationalError):
                    self._table.execute(_UPGRADE)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def __enter__(self) -> Downloads:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._table.close()

    def find(self, url: str) -> Answer | None:
        """What ``url`` gave; None when it is not known, or its body is no longer there."""
        try:
            row = self._table.execute(_FIND, (url,)).fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        if row is None:
            return None
        answer = Answer(*row)
        return answer if not answer.sha256 or self._whole(answer) else None

    def keep(self, url: str, body: bytes, terms: str) -> Answer:
        """Remember a body.

        Raises:
            ColorpipeError: it could not be written.
        """
        digest = hashlib.sha256(body).hexdigest()
        answer = Answer(sha256=digest, bytes=len(body), terms=terms, given=time.time())
        if not self._whole(answer):
            try:
                with new_file(self.path(answer)) as temporary:
                    temporary.write_bytes(body)
            except OSError as error:
                raise self._broken(error) from error
        self._write(url, answer)
        return answer

    def refuse(self, url: str, reason: str, detail: str, terms: str) -> Answer:
        """Remember a refusal that another run would meet again."""
        answer = Answer(reason=reason, detail=detail, terms=terms, given=time.time())
        self._write(url, answer)
        return answer

    def path(self, answer: Answer) -> Path:
        """Where the body of an answer lies."""
        return self.folder / answer.sha256[:2] / answer.sha256

    def read(self, answer: Answer) -> bytes:
        """The body of an answer.

        Raises:
            DamagedError: the disk did not keep it as it was.
            ColorpipeError: somebody deleted it meanwhile.
        """
        path = self.path(answer)
        try:
            body = path.read_bytes()
        except OSError as error:
            raise ColorpipeError(
                f"{path} vanished while it was needed ({error.strerror}); run again."
            ) from error
        if hashlib.sha256(body).hexdigest() != answer.sha256:
            path.unlink(missing_ok=True)
            raise DamagedError(f"{path} was damaged on the disk and is deleted; run again.")
        return body

    def _whole(self, answer: Answer) -> bool:
        try:
            return self.path(answer).stat().st_size == answer.bytes
        except OSError:
            return False

    def _write(self, url: str, answer: Answer) -> None:
        try:
            with self._table:
                self._table.execute(_WRITE, {"url": url, **dataclasses.asdict(answer)})
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError | sqlite3.Error) -> ColorpipeError:
        why = error.strerror if isinstance(error, OSError) else error
        return ColorpipeError(
            f"{self.folder}, where downloads are kept, cannot be used ({why}); make room and make"
            " it writable, or delete it."
        )
