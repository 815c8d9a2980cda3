"""A label for archives and newsrooms: that a photo's colors are a guess, and whose."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.imaging.formats import exif, xmp
from pipeline.imaging.formats.page import Metadata
from pipeline.imaging.kinds import FormatName

UNLABELED: frozenset[FormatName] = frozenset({"bmp", "gif", "ppm", "tga", "pcx"})
"""Formats that hold neither XMP nor EXIF."""


@dataclass(frozen=True)
class Label:
    """What guessed the colors."""

    software: str
    version: str
    model: str
    """SHA-256 of the weights' file, in hexadecimal."""

    def put_on(self, metadata: Metadata) -> Metadata:
        """Add the label to XMP (IPTC's digital source type, software, version) and EXIF."""
        return replace(
            metadata,
            xmp=xmp.labeled(metadata.xmp, self.software, self._version),
            exif=exif.with_text(metadata.exif, exif.PROCESSING_SOFTWARE, self._sentence),
        )

    @property
    def comment(self) -> str:
        """The label in words, with IPTC's digital source type, for what holds only text."""
        return f"{self._sentence} ({xmp.GUESSED})"

    @property
    def _version(self) -> str:
        return f"{self.version}, model sha256 {self.model}"

    @property
    def _sentence(self) -> str:
        return f"{self.software} {self._version}: the colors are a guess"
