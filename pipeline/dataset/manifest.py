"""A row a photo: the table that follows every photo from its URL to the split.

Tables are CSV files with a header, in UTF-8, rows in a fixed order: they diff well, and a
spreadsheet opens them.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pipeline.errors import ColorpipeError
from pipeline.files.listing import printable
from pipeline.files.outputs import new_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")

MANIFEST = "manifest.csv"
"""The name of the manifest inside ``data/raw``: a :class:`RawPhoto` a row."""
REJECTED = "rejected.csv"
"""The name of the table beside it: photos that were found and not kept."""
LONGEST_CELL = 8192
"""Characters that are kept of a stranger's text; spreadsheets take 32,767."""
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


@dataclass(frozen=True)
class RawPhoto:
    """One photo as it was found; its bytes lie at ``<category>/<name>``."""

    name: str
    """Content hash with the extension of the content."""
    category: str
    url: str
    """Where the bytes came from: a URL, or the file's name for a source that is no server."""
    page: str
    """The page that showed the photo, when the source says."""
    query: str
    """What the search was asked for, when there was one."""
    license: str
    """The photo's license, or the license filter that the search was given."""
    media_type: str
    """``image/jpeg`` and the like, from the content."""
    sha256: str
    bytes: int


def content_name(data: bytes, extension: str) -> str:
    """Name a photo by its content: 16 hex digits of SHA-256, then ``extension`` (".jpg")."""
    return hashlib.sha256(data).hexdigest()[:16] + extension


def cell(strange: str) -> str:
    """What a table holds of a stranger's text: one line, not too long, and no formula.

    A spreadsheet would compute a cell that begins with one of ``= + - @``; it gets an apostrophe in
    front, which a spreadsheet takes for the mark of a text.
    """
    text = printable(strange)
    if len(text) > LONGEST_CELL:
        text = f"{text[: LONGEST_CELL - 1]}…"
    return f"'{text}" if _FORMULA.match(text) else text


def write_table(path: Path, rows: Iterable[DataclassInstance], row_type: type[Any]) -> None:
    """Write dataclass instances as CSV, whole or not at all; the fields are the columns.

    What is no text, as a file's name may be, becomes a question mark.
    """
    columns = [field.name for field in dataclasses.fields(row_type)]
    values = operator.attrgetter(*columns)
    with (
        new_file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(values, rows))


def read_table(path: Path, row_type: type[R]) -> list[R]:
    """Read what :func:`write_table` wrote; ``int``, ``float`` and ``bool`` fields are converted.

    The last columns may be missing, if their fields have defaults: an older version had them not.

    Raises:
        ColorpipeError: the file is missing, has other columns or a row that cannot be read.
    """
    fields = dataclasses.fields(row_type)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            found = list(reader.fieldnames or ())
            added = fields[len(found) :]
            if found != [f.name for f in fields][: len(found)] or any(
                f.default is dataclasses.MISSING for f in added
            ):
                raise ColorpipeError(
                    f"{path} does not have the columns {', '.join(f.name for f in fields)};"
                    " make it again with the stage that writes it."
                )
            types = get_type_hints(row_type)
            return [
                row_type(**{name: _convert(types[name], row[name]) for name in found})
                for row in reader
            ]
    except FileNotFoundError as error:
        raise ColorpipeError(f"{path} is missing; run the stage that writes it first.") from error
    # A cell of more than 128 Ki characters is csv's own error.
    except (TypeError, ValueError, csv.Error) as error:
        raise ColorpipeError(
            f"{path} has a row that cannot be read ({error}); make it again with the stage that"
            " writes it."
        ) from error


def _convert(kind: type, text: str) -> Any:
    return text == "True" if kind is bool else kind(text)
