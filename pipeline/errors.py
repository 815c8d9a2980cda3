"""How this project says that something went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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


@contextlib.contextmanager
def needs_extra(extra: str, work: str) -> Iterator[None]:
    """Name the extra of colorpipe to install if a module that the block imports is not there.

    Args:
        extra: one of those in ``pyproject.toml``.
        work: what needs it, as the subject of a sentence: "Scraping".

    Raises:
        ColorpipeError: a module is not installed. A missing module of colorpipe's own is a bug, and
            stays what it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        if module in {"colorpipe", "pipeline", "stages"}:
            raise
        raise ColorpipeError(
            f"{work} needs {module}, which is not installed; install it with: pip install"
            f" 'colorpipe[{extra}]'."
        ) from error
