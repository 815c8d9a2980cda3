"""What a photo's file is made of, in any format: pages, and what stands beside their pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pipeline.imaging.formats import exif, xmp
from pipeline.imaging.gray_photo import GrayPhoto, Tint
from pipeline.imaging.kinds import Kind


@dataclass(frozen=True)
class Metadata:
    """What every format has its own place for; None where a file has none of it."""

    exif: bytes | None = None
    """From its TIFF header on, without a thumbnail."""
    xmp: bytes | None = None
    """The packet, whole."""
    iptc: bytes | None = None
    """IPTC's records (IIM 4.2), as Photoshop's resource 1028 holds them."""
    photoshop: bytes | None = None
    """Photoshop's image resources without IPTC's and without thumbnails."""
    icc: bytes | None = None
    """The profile that the colored photo needs."""
    dpi: tuple[float, float] | None = None
    """Dots per inch, across and down."""
    comment: bytes | None = None

    def upright(self) -> Metadata:
        """Return what holds for the picture once it is stored upright."""
        return replace(
            self,
            exif=exif.upright(self.exif) if self.exif else None,
            xmp=xmp.upright(self.xmp) if self.xmp else None,
        )


@dataclass(frozen=True)
class Page:
    """A page of a document, a frame of an animation, or the only picture of a photo's file."""

    photo: GrayPhoto
    metadata: Metadata = field(default_factory=Metadata)
    own: object = None
    """What the format's own writer takes over as it is, and other formats have no place for."""
    damage: str = ""
    """What is damaged in the picture, though it could be decoded."""
    milliseconds: int = 0
    """How long a frame is shown."""


@dataclass(frozen=True)
class PhotoFile:
    """An opened file: its head is read, its pages are decoded when they are asked for."""

    kind: Kind
    """By the content."""
    size: tuple[int, int]
    """Width and height of the largest page, as stored."""
    read_page: Callable[[int], Page]
    count: int = 1
    """Pages or frames."""
    is_animated: bool = False
    has_poster: bool = False
    """Whether the first page is no frame of the animation, but what is shown where none can be."""
    loops: int = 0
    """How often an animation is shown; 0 is for ever."""
    bits: int = 8
    """Of a sample."""
    holds_metadata: bool = True
    """Whether its format has a place for XMP or EXIF in a file like this one."""
    note: str = ""
    """What of the file will not be in the colored one, for the report."""

    def pages(self) -> Iterator[Page]:
        """Decode the pages one after the other."""
        return (self.read_page(number) for number in range(self.count))


Colored = tuple[Page, Tint]
"""A page and its colors."""
Write = Callable[[PhotoFile, Iterable[Colored]], bytes]
"""A format's writer: takes the pages as they come and returns the new file."""


def resolution(dpi: object) -> tuple[float, float] | None:
    """Take a resolution that can be one: files say 0, and TIFFs 0/0, where they know none."""
    try:
        x, y = (float(value) for value in cast(Iterable[Any], dpi))
    except (TypeError, ValueError):
        return None
    return (x, y) if all(math.isfinite(value) and value > 0 for value in (x, y)) else None
