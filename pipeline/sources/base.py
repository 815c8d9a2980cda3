"""What a source of photos yields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import Failure

OFFLINE_HINT = "check the network, or use photos on disk with --source folder --path FOLDER"


@dataclass(frozen=True)
class FoundPhoto:
    """A photo's bytes as found, and where they came from."""

    category: str
    """A safe folder name (:func:`pipeline.sources.categories.folder_name`)."""
    url: str
    """A URL; for photos that come from no server, ``package/file#region`` and the like."""
    data: bytes
    page: str = ""
    """The page that showed the photo, if the source knows it."""
    query: str = ""
    """What was searched for."""
    license: str = ""
    """The photo's license, or the license filter of the search."""


@dataclass(frozen=True)
class RejectedPhoto:
    """A photo that was tried or seen, and not kept; a row of ``rejected.csv``."""

    category: str
    url: str
    reason: str
    """One of :mod:`pipeline.download.rejections`."""
    detail: str = ""
    """What is special about this photo: a status, an address, a size."""
    page: str = ""
    query: str = ""


@dataclass(frozen=True)
class UnreadPhoto:
    """A photo that was not read yet; once a category is full, it need not be."""

    category: str
    read: Callable[[], FoundPhoto | RejectedPhoto | Failure]
    """Reads the photo; call it before asking the source for the next item."""


Item = FoundPhoto | UnreadPhoto | RejectedPhoto | Failure
"""What a source yields. A :class:`~pipeline.errors.Failure` names a category that could not be
searched, or not to the end."""
