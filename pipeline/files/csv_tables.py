"""Tables: dataclass instances as rows of a CSV file, with a header, in UTF-8.

Rows come in a fixed order, so that two versions of a table can be compared line by line; and any
spreadsheet opens them.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import operator
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pipeline.errors import ColorpipeError
from pipeline.files.names import printable
from pipeline.files.outputs import new_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")

LONGEST_CELL = 8192
"""Characters of untrusted text that a cell keeps; spreadsheets take 32,767."""
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def cell(text: str) -> str:
    """Make a cell of untrusted ``text``: one line, not too long, and not a formula.

    A spreadsheet computes a cell that begins with one of ``= + - @``. Such a text gets an
    apostrophe in front, which spreadsheets take for the sign of plain text.
    """
    line = printable(text)
    if len(line) > LONGEST_CELL:
        line = f"{line[: LONGEST_CELL - 1]}…"
    return f"'{line}" if _FORMULA.match(line) else line


def write_table(path: Path, rows: Iterable[DataclassInstance], row_type: type[Any]) -> None:
    """Write dataclass instances as CSV, whole or not at all; the fields are the columns.

    What is not text, as part of a file's name may be, becomes a question mark.
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


def require_table(path: Path, row_type: type[Any]) -> None:
    """Refuse a place for a new table that anything but an earlier one has; before any work is done.

    Raises:
        ColorpipeError: there is a folder, or a file that is no such table.
    """
    if path.is_dir():
        raise ColorpipeError(
            f"{path} is a folder, but a table is to be written there; name a file, such as"
            f" {path / 'table.csv'}."
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
    # One that cannot be read cannot be written either, which is said then.
    except OSError:
        return
    first = dataclasses.fields(row_type)[0].name
    if head and not head.removeprefix(codecs.BOM_UTF8).startswith(f"{first},".encode()):
        raise ColorpipeError(
            f"The table {path} would take the place of a file that is none; name another file, or"
            " delete that one."
        )


def read_table(path: Path, row_type: type[R]) -> list[R]:
    """Read what :func:`write_table` wrote; ``int``, ``float`` and ``bool`` fields are converted.

    The last columns may be missing if their fields have defaults: an older version did not write
    them.

    Raises:
        ColorpipeError: the file is missing, cannot be read (the cause is an ``OSError`` then), has
            other columns or a row that cannot be read.
    """
    fields = dataclasses.fields(row_type)
    names = [field.name for field in fields]
    try:
        # With the mark that spreadsheets put in front of UTF-8, or without.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            found = list(reader.fieldnames or ())
            missing = fields[len(found) :]
            if found != names[: len(found)] or any(
                field.default is dataclasses.MISSING for field in missing
            ):
                raise ColorpipeError(
                    f"{path} does not have the columns {', '.join(names)}; make it again with the"
                    " stage that writes it."
                )
            types = get_type_hints(row_type)
            return [
                row_type(**{name: _convert(types[name], row[name]) for name in found})
                for row in reader
            ]
    except FileNotFoundError as error:
        raise ColorpipeError(f"{path} is missing; run the stage that writes it first.") from error
    except OSError as error:
        raise ColorpipeError(
            f"The table {path} could not be read ({error.strerror}); name a CSV file that may be"
            " read."
        ) from error
    # csv.Error: a cell of more than 128 Ki characters, for example.
    except (TypeError, ValueError, csv.Error) as error:
        raise ColorpipeError(
            f"{path} has a row that cannot be read ({error}); make it again with the stage that"
            " writes it."
        ) from error


def _convert(kind: type, text: str | None) -> Any:
    if text is None:
        raise ValueError("it is too short")
    return text == "True" if kind is bool else kind(text)
