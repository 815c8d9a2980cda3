"""What is wrong with a film, as phrases that fit behind a colon."""

from __future__ import annotations


class FilmError(Exception):
    """Why a film could not be colorized, as a phrase that fits behind a colon."""
