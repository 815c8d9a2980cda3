"""The manifest: a row for each file that was found, with where it came from.

A document of several pages is one file, so it has one row: the report of `colorpipe clean` has a
row for each page, with its number, and `colorpipe split` finds the document's row by the names of
its pages.
"""

from __future__ import annotations

from dataclasses import dataclass

MANIFEST = "manifest.csv"
"""The name of the manifest inside ``data/raw``: a :class:`RawPhoto` a row."""
REJECTED = "rejected.csv"
"""The name of the table beside it: photos that were found and not kept."""


@dataclass(frozen=True)
class RawPhoto:
    """One photo or document as it was found; its bytes lie at ``<category>/<name>``."""

    name: str
    """Content hash with the extension of the content."""
    category: str
    url: str
    """Where the bytes came from: a URL, or the name of a file for a source on disk."""
    page: str
    """The page that showed the photo, when the source says."""
    query: str
    """What the search was asked for, when there was one."""
    license: str
    """The photo's license, or the license filter that the search was given."""
    media_type: str
    """``image/jpeg`` and the like, from the content."""
    sha256: str
    bytes: int


def content_name(sha256: str, extension: str) -> str:
    """Name a photo by its content: 16 hex digits of its SHA-256, then ``extension`` (".jpg")."""
    return sha256[:16] + extension
