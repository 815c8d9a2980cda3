"""Names of files: what can be printed of one, and one that no other file of the folder has."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath

LONGEST = 255
"""Bytes that the name of a file may have, on most file systems."""

_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes in a file's name that are not UTF-8."""
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
"""Ends of lines, and what a terminal takes for a command."""


def printable(text: str, replacement: str = "?") -> str:
    """Make one line of untrusted ``text`` that any terminal or table can hold.

    The name of a file may have bytes that are not text, and any control character. Of a carriage
    return or a NUL, Python's CSV writer makes what its reader refuses.
    """
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(" ", _NOT_TEXT.sub(replacement, text))


def distinct_stems(
    files: Iterable[str], extension: str, longest: int, clean: Callable[[str], str]
) -> dict[str, str]:
    """Give each file a stem that no other file has: its own, where that is possible.

    Of several files with the same stem one keeps it: the one that has ``extension``, or else the
    first. The others get a mark that is made from their own name alone, so that it stays the same
    whatever files come or go. Upper and lower case count as equal, as on some file systems.

    Args:
        files: the names of the files of one folder, sorted; all different.
        extension: of the file that has the first claim to its stem (".jpg").
        longest: bytes that a stem may have.
        clean: what to make of a stem in any case.
    """
    stems = {file: clean(PurePath(file).stem) for file in files}
    owners: dict[str, str] = {}
    for file, stem in stems.items():
        owner = owners.setdefault(stem.casefold(), file)
        if file == stem + extension and owner != stems[owner] + extension:
            owners[stem.casefold()] = file
    return {
        file: stem
        if owners[stem.casefold()] == file and len(stem.encode()) <= longest
        else _marked(file, stem, longest)
        for file, stem in stems.items()
    }


def stems_for_pages(stems: Mapping[str, str], longest: int) -> dict[str, str]:
    """Give each file a stem for its pages, whose names are :func:`numbered`: its own, if it can be.

    It gets a mark where another file has the name of a page, as ``scan-1`` beside ``scan``.

    Args:
        stems: of the files of one folder, as :func:`distinct_stems` gives them.
        longest: bytes that a page's stem may have, with its number.
    """
    taken = {without_number(stem.casefold()) for stem in stems.values()}
    room = longest - len(numbered("", MOST_PAGES))
    return {
        file: _marked(file, stem, room)
        if stem.casefold() in taken or len(stem.encode()) > room
        else stem
        for file, stem in stems.items()
    }


MOST_PAGES = 99_999
"""The largest number that a page's name has room for."""


def numbered(stem: str, page: int) -> str:
    """Return the stem of a document's page, from 1."""
    return f"{stem}-{page}"


def without_number(stem: str) -> str:
    """Return what stands before a page's number; nothing where there is no number."""
    found = re.fullmatch(r"(.*)-[1-9][0-9]{0,4}", stem, re.DOTALL)
    return found[1] if found else ""


def _marked(file: str, stem: str, longest: int) -> str:
    mark = "_" + hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
    return stem.encode()[: max(0, longest - len(mark))].decode(errors="ignore") + mark
