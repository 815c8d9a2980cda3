"""Why a photo was not kept, in the words of ``rejected.csv`` and of the table after a scrape."""

from __future__ import annotations

NOT_AN_IMAGE = "not an image"
TOO_LARGE = "too large"
DUPLICATE = "duplicate"

MALFORMED = "malformed URL"
SCHEME = "neither http nor https"
PRIVATE = "address is not public"
UNREACHABLE = "host not reachable"
TIMED_OUT = "timed out"
CUT_OFF = "cut off"
HTTP_ERROR = "HTTP error"
REDIRECTS = "too many redirects"
GIVEN_UP = "host given up"
UNEXPECTED = "unexpected error"
"""An error that this program does not foresee; the type stands beside it. Please report it."""
ROBOTS = "robots.txt forbids it"
NO_AI = "noai header"

LINK = "link in the archive"
"""A member of an archive that is a symbolic or hard link, or a device."""
DAMAGED = "damaged"


class FetchError(Exception):
    """A URL gave no photo.

    Not an OSError: aiohttp would take that for a host that cannot be reached.
    """

    def __init__(
        self, reason: str, detail: str = "", *, lasting: bool = True, status: int | None = None
    ) -> None:
        # aiohttp gives the bytes of a header that are not UTF-8 as surrogates, which no table can
        # hold.
        detail = detail.encode("utf-8", "replace").decode("utf-8")
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        """One of the constants of this module."""
        self.detail = detail
        self.lasting = lasting
        """Whether another run would probably meet the same."""
        self.status = status
        """The HTTP status, if that is the reason."""


def describe(data: bytes) -> str:
    """Say in a few words what bytes look like that are no photo."""
    start = data[:512].lstrip().lower()
    if not data:
        return "no bytes"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script", b"<body")):
        return "an HTML page"
    if start.startswith((b"<svg", b"<?xml")):
        return "SVG or other XML"
    if start.startswith((b"{", b"[")):
        return "JSON"
    return "unknown bytes"
