"""The format of a file by its first bytes, for names and tables; nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.imaging.decode import EXTENSIONS


@dataclass(frozen=True)
class Media:
    """An image format."""

    extension: str
    """As :data:`pipeline.imaging.decode.EXTENSIONS` gives it."""
    type: str
    """The media type of RFC 6838, ``image/...``."""


_MEDIA = {
    format_: Media(extension, f"image/{format_.lower()}")
    for format_, extension in EXTENSIONS.items()
}
MEDIA_TYPES = tuple(media.type for media in _MEDIA.values())
"""The media types of all formats that can be opened."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)
# Sizes of the second header: "BM" alone could begin a text as well.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def sniff(data: bytes) -> Media | None:
    """Recognize a photo's format by its signature; None if it is none that can be opened."""
    for signature, format_ in _SIGNATURES:
        if data.startswith(signature):
            return _MEDIA[format_]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _MEDIA["WEBP"]
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return _MEDIA["BMP"]
    return None


def describe(data: bytes) -> str:
    """Say in a few words what ``data`` looks like that :func:`sniff` does not know."""
    start = data[:512].lstrip().lower()
    if not data:
        return "no bytes"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script", b"<body")):
        return "an HTML page"
    if start.startswith((b"<svg", b"<?xml")):
        return "SVG or other XML"
    if data[4:12] in {b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavis"}:
        return "AVIF or HEIC"
    if start.startswith((b"{", b"[")):
        return "JSON"
    return "unknown bytes"
