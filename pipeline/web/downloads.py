"""What was downloaded before: a cache by URL that outlives a kill at any moment.

Bodies are files named by the SHA-256 of their content; an SQLite table tells what each URL gave.
A body is complete before its row is written, so a row can be trusted. The folder can be deleted at
any time: it saves downloads, nothing else depends on it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipeline.errors import ColorpipeError
from pipeline.outputs import new_file

FOLDER = Path(".colorpipe/downloads")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    terms TEXT NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Answer:
    """What a URL gave: a body, or the reason why it was refused."""

    sha256: str = ""
    """Of the body; empty when there is none."""
    bytes: int = 0
    reason: str = ""
    """One of :mod:`pipeline.sources.reasons`; empty when there is a body."""
    detail: str = ""
    terms: str = ""
    """What the asker promised or demanded; whether it still holds is for the asker to say."""


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
            row = self._table.execute(
                "SELECT sha256, bytes, reason, detail, terms FROM answers WHERE url = ?", (url,)
            ).fetchone()
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
        answer = Answer(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body), terms=terms)
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
        answer = Answer(reason=reason, detail=detail, terms=terms)
        self._write(url, answer)
        return answer

    def path(self, answer: Answer) -> Path:
        """Where the body of an answer lies."""
        return self.folder / answer.sha256[:2] / answer.sha256

    def read(self, answer: Answer) -> bytes:
        """The body of an answer.

        Raises:
            ColorpipeError: somebody deleted it meanwhile.
        """
        try:
            return self.path(answer).read_bytes()
        except OSError as error:
            raise ColorpipeError(
                f"{self.path(answer)} vanished while it was needed ({error.strerror}); run again."
            ) from error

    def _whole(self, answer: Answer) -> bool:
        try:
            return self.path(answer).stat().st_size == answer.bytes
        except OSError:
            return False

    def _write(self, url: str, answer: Answer) -> None:
        row = (url, answer.sha256, answer.bytes, answer.reason, answer.detail, answer.terms)
        try:
            with self._table:
                self._table.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError | sqlite3.Error) -> ColorpipeError:
        why = error.strerror if isinstance(error, OSError) else error
        return ColorpipeError(
            f"{self.folder}, where downloads are kept, cannot be used ({why}); make room and make"
            " it writable, or delete it."
        )
