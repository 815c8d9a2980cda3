"""What a person is shown of a cleaning: how many of each decision, and examples of the dropped."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.dataset.filters import DROPPED, CleanRow
from pipeline.dataset.quality import shrink_whole
from pipeline.files.parallel import KILLED
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB, ImageError, open_photo, read_bytes

SHEET_COLUMNS = 12
"""Examples of each reason on the contact sheet."""
SHEET_CELL = 128
"""Side of a cell of the contact sheet, in pixels."""


class Tally:
    """Passes rows on and counts the decisions; keeps examples of what was dropped."""

    def __init__(self, rows: Iterator[CleanRow]) -> None:
        self._rows = rows
        self.decisions: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[CleanRow]] = defaultdict(list)
        """By reason: a random choice of rows, of bounded length."""
        self._random = random.Random(0)

    def __iter__(self) -> Iterator[CleanRow]:
        for row in self._rows:
            self.decisions[row.decision] += 1
            if row.decision == DROPPED:
                self.reasons[row.reason] += 1
                self._sample(self.examples[row.reason], row)
            yield row

    def _sample(self, chosen: list[CleanRow], row: CleanRow) -> None:
        """Keep each of the rows so far with the same probability (reservoir sampling)."""
        if len(chosen) < SHEET_COLUMNS:
            chosen.append(row)
            return
        place = self._random.randrange(self.reasons[row.reason])
        if place < SHEET_COLUMNS:
            chosen[place] = row

    @property
    def total(self) -> int:
        """Files seen."""
        return self.decisions.total()

    @property
    def fit(self) -> int:
        """Files that were not dropped."""
        return self.total - self.decisions[DROPPED]

    def print(self) -> None:
        """Print how many files were kept, converted and dropped for which reason."""
        table = Table("decision", "reason", title="Cleaned")
        table.add_column("files", justify="right")
        table.add_column("share", justify="right")
        for decision, count in self.decisions.most_common():
            if decision != DROPPED:
                table.add_row(decision, "", str(count), f"{count / self.total:.1%}")
        for reason, count in self.reasons.most_common():
            table.add_row(DROPPED, reason, str(count), f"{count / self.total:.1%}")
        Console().print(table)


def dropped_sheet(raw: Path, tally: Tally) -> RGB:
    """Draw examples of what was dropped, a row a reason; duplicates each before what stays."""
    rows: list[list[RGB]] = []
    labels: list[str] = []
    for reason, count in tally.reasons.most_common():
        pictures: list[RGB] = []
        # What killed a worker would kill this process too.
        examples = [row for row in tally.examples[reason] if row.detail != KILLED]
        for row in sorted(examples, key=lambda row: (row.category, row.file)):
            files = [f"{row.category}/{row.file}", row.duplicate_of]
            for file in files if row.duplicate_of else files[:1]:
                # What cannot be opened cannot be shown.
                with contextlib.suppress(ImageError):
                    photo = open_photo(read_bytes(raw / file), at_least=SHEET_CELL)
                    pictures.append(shrink_whole(photo.pixels, SHEET_CELL))
        if pictures:
            rows.append(pictures[:SHEET_COLUMNS])
            labels.append(f"{reason} ({count})")
    if not rows:
        # The sheet is an out of the chain: there always is one.
        rows, labels = [[np.full((SHEET_CELL, SHEET_CELL, 3), 255, np.uint8)]], ["nothing to show"]
    return np.asarray(contact_sheet(rows, labels, cell=SHEET_CELL))
