"""Categories: what to search for, and folder names made from their names."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.errors import ColorpipeError
from pipeline.files.listing import is_hidden

MAX_LENGTH = 60
"""Characters of a folder name; this leaves room for the file's name in Windows' 260 of a path."""

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file ("Naming conventions").
_DEVICES = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]", re.IGNORECASE)


@dataclass(frozen=True)
class Category:
    """A line of a category file."""

    name: str
    """The folder: ASCII letters, digits, ``-`` and ``_``."""
    query: str
    """What to search for."""


def read_categories(path: Path) -> tuple[Category, ...]:
    """Read a file with a category, or ``name: query``, on each line; ``#`` starts a comment.

    Raises:
        ColorpipeError: the file is missing, is not UTF-8 text or holds no category; or a line lacks
            a name or a query, or would share a folder with another line.
    """
    text = read_text(
        path, "write a category on each line of it, or name another file with --categories"
    )
    categories: list[Category] = []
    lines: dict[str, int] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not line:
            continue
        category = _parse(line, f"{path}, line {number}")
        first = lines.setdefault(category.name.casefold(), number)
        if first != number:
            raise ColorpipeError(
                f"{path}: lines {first} and {number} are both the category '{category.name}';"
                " remove one, or give it another name with 'name: query'."
            )
        categories.append(category)
    if not categories:
        raise ColorpipeError(
            f"{path} holds no category; write one on each line, for example 'beach'."
        )
    return tuple(categories)


def read_text(path: Path, if_missing: str) -> str:
    """Read a text file that the user wrote.

    Args:
        path: the file.
        if_missing: what to do if there is none, for the error.

    Raises:
        ColorpipeError: the file is missing, cannot be read or is not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ColorpipeError(f"{path} is missing; {if_missing}.") from error
    except UnicodeDecodeError as error:
        raise ColorpipeError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise ColorpipeError(
            f"{path} could not be read ({error.strerror}); {if_missing}."
        ) from error


def _parse(line: str, where: str) -> Category:
    name, colon, query = (part.strip() for part in line.partition(":"))
    if colon and not (name and query):
        missing = "query behind" if name else "name before"
        raise ColorpipeError(f"{where}: there is no {missing} the colon in '{line}'.")
    return Category(folder_name(name, where), query or name)


def folder_name(text: str, where: str) -> str:
    """Make a folder name from untrusted ``text`` that is safe and the same on every system.

    Accents are dropped, symbols such as emoji become their Unicode names, and other letters outside
    ASCII become their code points. Everything else except ``-`` and ``_`` becomes ``-``. A name
    that Windows has for a device, or a system for a folder that is skipped, gets a ``_`` appended.

    Args:
        text: what the folder is named after.
        where: the file, line or folder that it comes from, for the error.

    Raises:
        ColorpipeError: ``text`` has no letter or digit.
    """
    spelled = "".join(_spell(character) for character in unicodedata.normalize("NFKD", text))
    name = re.sub(r"[^A-Za-z0-9_]+", "-", spelled)[:MAX_LENGTH].strip("-")
    if not name:
        raise ColorpipeError(f"{where}: '{text}' has no letter or digit to name a folder with.")
    is_taken = _DEVICES.fullmatch(name) or is_hidden(PurePath(name))
    return f"{name}_" if is_taken else name


def _spell(character: str) -> str:
    if character.isascii():
        return character
    kind = unicodedata.category(character)
    if kind.startswith("S"):
        return f" {unicodedata.name(character, f'u{ord(character):x}').lower()} "
    if kind.startswith(("L", "N")):
        return f"u{ord(character):x}"
    return "" if kind.startswith("M") else " "
