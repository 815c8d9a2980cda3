"""What a person is shown of a cleaning: how many of each decision, and examples of the dropped."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from pipeline.dataset.filters import DROPPED, CleanRow
from pipeline.dataset.quality import shrink_whole
from pipeline.engines.base import KILLED
from pipeline.files.names import printable
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB, ImageError, open_photo, read_bytes

SHEET_COLUMNS = 12
"""Examples of each reason on the contact sheet."""
SHEET_CELL = 128
"""Side of a cell of the contact sheet, in pixels."""


def print_summary(rows: Sequence[CleanRow]) -> None:
    """Print how many photos were kept, converted and dropped for which reason.

    A category of which none was kept is named: later stages no longer see it.
    """
    table = Table("decision", "reason", title="Cleaned")
    table.add_column("photos", justify="right")
    table.add_column("share", justify="right")
    decisions = Counter(row.decision for row in rows if row.decision != DROPPED)
    lines = [(decision, "", count) for decision, count in decisions.most_common()]
    lines += [(DROPPED, reason, count) for reason, count in _reasons(rows).most_common()]
    for decision, reason, count in lines:
        table.add_row(decision, reason, str(count), f"{count / len(rows):.1%}")
    Console().print(table)
    fit = {row.category for row in rows if row.decision != DROPPED}
    for category in sorted({row.category for row in rows} - fit - {""}):
        print(printable(f"No photo of '{category}' is fit; the data set will be without it."))


def print_decisions(rows: Iterable[CleanRow]) -> None:
    """Print a line for every photo that is not kept as it is."""
    for row in rows:
        why = ": ".join(part for part in (row.reason, row.detail) if part)
        if why:
            instead = f" ({row.duplicate_of} is kept)" if row.duplicate_of else ""
            print(printable(f"{row.decision}  {row.label}  {why}{instead}"))


def dropped_sheet(raw: Path, rows: Sequence[CleanRow]) -> Image.Image:
    """Draw examples of what was dropped, a row a reason; a duplicate beside the photo kept.

    Args:
        raw: the folder of the raw files.
        rows: all rows of the cleaning; the same rows give the same examples.
    """
    pictures: list[list[RGB]] = []
    labels: list[str] = []
    by_label = {row.label: row for row in rows}
    for reason, count in _reasons(rows).most_common():
        examples = [row for row in rows if row.reason == reason]
        if len(examples) > SHEET_COLUMNS:
            examples = random.Random(0).sample(examples, SHEET_COLUMNS)
        examples.sort(key=lambda row: (row.category, row.file, row.page))
        # A duplicate is followed by the photo that is kept in its place.
        wanted = [one for row in examples for one in (row, by_label.get(row.duplicate_of)) if one]
        if shown := [picture for row in wanted for picture in _picture(raw, row)]:
            pictures.append(shown[:SHEET_COLUMNS])
            labels.append(f"{reason} ({count})")
    if not pictures:
        # The sheet is an output of the chain, so there always is one.
        white = np.full((SHEET_CELL, SHEET_CELL, 3), 255, np.uint8)
        pictures, labels = [[white]], ["nothing to show"]
    return contact_sheet(pictures, labels, cell=SHEET_CELL)


def _reasons(rows: Iterable[CleanRow]) -> Counter[str]:
    return Counter(row.reason for row in rows if row.decision == DROPPED)


def _picture(raw: Path, row: CleanRow) -> list[RGB]:
    """Return the photo of a row; nothing if it is unreadable."""
    # What killed a worker would kill this process too.
    if row.detail == KILLED:
        return []
    try:
        data = read_bytes(raw / row.category / row.file)
        photo = open_photo(data, at_least=SHEET_CELL, page=max(row.page - 1, 0))
    except ImageError:
        return []
    return [shrink_whole(photo.pixels, SHEET_CELL)]
