"""Figures for people and tools: tables on the terminal, CSV for ``dvc plots``, JSON for metrics."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.files.csv_tables import cell
from pipeline.files.outputs import new_file


def write_series(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV with a header, for ``dvc plots`` and spreadsheets; whole or not at all.

    Text may be a file's or a folder's name: :func:`cell` makes it fit for a table.
    """
    with (
        new_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            [cell(value) if isinstance(value, str) else value for value in row] for row in rows
        )


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write figures as JSON, keys in the order given, for ``dvc metrics``; whole or not at all."""
    with new_file(path) as temporary:
        temporary.write_text(
            json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], note: str = ""
) -> None:
    """Print figures as a table on standard output; the first column is left-aligned."""
    console = Console()
    if not console.is_terminal:
        # A file has no margin to fold cells at; tables are no wider than they need.
        console.width = 1000
    table = Table(title_justify="left", caption_justify="left")
    table.title = Text(title)
    table.caption = Text(note) if note else None
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if i else "left", no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
