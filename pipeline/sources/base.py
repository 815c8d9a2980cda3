"""What a source of photos is: something that yields offers and refusals, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

INBOX = Path("data/inbox")
"""Where ``scrape.path`` points unless it is set."""
OFFLINE_WAY = "check the network, or take photos from disk with --source folder --path FOLDER"


@dataclass(frozen=True)
class Offer:
    """A photo's bytes as found, and where they came from."""

    category: str
    """A safe folder name (:func:`pipeline.sources.categories.folder_name`)."""
    url: str
    """A URL, or ``package:file#region`` and the like for a source that is no server."""
    data: bytes
    page: str = ""
    """The page that showed the photo, when the source knows it."""
    query: str = ""
    """What the search was asked for."""
    license: str = ""
    """The photo's license, or the license filter that the search was given."""


@dataclass(frozen=True)
class Refusal:
    """A photo that was tried, or seen, and not kept."""

    category: str
    url: str
    reason: str
    """A few words that are the same for every photo refused for this reason; see ``reasons``."""
    detail: str = ""
    """What was special about this one: a status, an address, a size."""
    page: str = ""
    query: str = ""


@dataclass(frozen=True)
class Shortfall:
    """A category that the source could not look for, or not to the end."""

    category: str
    reason: str
    """Why, as a phrase that fits behind a colon."""


@dataclass(frozen=True)
class Later:
    """A photo that nobody has looked at yet: beyond the limit nobody has to."""

    category: str
    read: Callable[[], Offer | Refusal | Shortfall]
    """Looks at it; to be called before the source is asked for more."""


Found = Offer | Later | Refusal | Shortfall


class Source(Protocol):
    """Where photos come from.

    Iterating twice gives the same photos in the same order, as far as the world outside stays the
    same. Only one photo's bytes need to be in memory at a time.
    """

    def __iter__(self) -> Iterator[Found]:
        """Yield every photo found and every one refused, category by category.

        One that costs something to look at may come as :class:`Later`.

        Raises:
            ColorpipeError: nothing at all can be had from the source.
        """
        ...
