"""What a gallery on a page shows: photos, each in several versions, with a slider between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GalleryPhoto:
    """A photo in the gallery."""

    name: str
    category: str
    pictures: Mapping[str, str]
    """By result: a ``data:`` URI of :func:`pipeline.pages.rendering.picture`."""
    caption: str
    note: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    """What photos can be sorted by."""


@dataclass(frozen=True)
class Order:
    """A way of sorting the gallery."""

    title: str
    key: str = ""
    """One of the photos' values; "" sorts by name."""
    direction: int = 1
    """1 for the least first, -1 for the largest first."""


@dataclass(frozen=True)
class Gallery:
    """Photos, and how they are shown at first."""

    photos: Sequence[GalleryPhoto]
    results: Sequence[str]
    """The versions that photos have."""
    left: str
    right: str
    orders: Sequence[Order] = (Order("by name"),)

    @property
    def categories(self) -> list[str]:
        """The categories of the photos, sorted."""
        return sorted({photo.category for photo in self.photos})
