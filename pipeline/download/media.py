"""What a server says a file is, and what one looks like that is no photo; nothing is decoded."""

from __future__ import annotations

from pipeline.imaging.kinds import KINDS

MEDIA_TYPES = tuple(kind.media_type for kind in KINDS)
"""The media types of all formats that can be opened."""


def describe(data: bytes) -> str:
    """Say in a few words what ``data`` that is no photo looks like."""
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
