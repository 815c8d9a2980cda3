"""How this project says that something went wrong."""

from __future__ import annotations

from dataclasses import dataclass


class ColorpipeError(Exception):
    """Nothing could be done; the message is a whole sentence that says what to do (exit code 2)."""


class StoppedError(ColorpipeError):
    """The user stopped the work; what was done is kept (exit code 130)."""


@dataclass(frozen=True)
class Failure:
    """One input that failed while the rest went on (exit code 1)."""

    what: str
    """The file, URL or category."""
    reason: str
    """Why, as a phrase that fits behind a colon."""

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"
