"""The tables of ``ablations.py``: all figures as CSV, and a digest as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ablation_evaluation import Figures

from pipeline.evaluation.tables import write_series
from pipeline.files.outputs import new_file

OWN, EQUAL = "own", "equal"
"""Colors as the variant predicts them, and with chroma scaled to the common colorfulness ratio."""

CSV, MARKDOWN = "table.csv", "table.md"

_DIGITS = {"ciede2000": 3, "psnr": 3, "colorfulness_ratio": 3, "layout_distance": 1}
_SHOWN = {"ciede2000": 2, "psnr": 2, "colorfulness_ratio": 2, "layout_distance": 0}

COLUMNS = (
    *("variant", "seed", "colors", "vividness", "set", "photos", *_DIGITS),
    *("images", "images_per_second"),
)

Row = Mapping[str, str]
"""A variant on one set of photos, by the names of :data:`COLUMNS`; missing values are empty."""


def rows_of(facts: Row, figures: Sequence[Figures]) -> list[Row]:
    """Return a row for each of ``figures``, with ``facts`` in all of them."""
    empty = dict.fromkeys(COLUMNS, "")
    return [{**empty, **facts, **_rounded(each)} for each in figures]


def _rounded(figures: Figures) -> Row:
    values = {name: value for name, value in asdict(figures).items() if value is not None}
    return {
        name: f"{value:.{_DIGITS[name]}f}" if name in _DIGITS else str(value)
        for name, value in values.items()
    }


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of ``folder/table.csv``; none where there is no table."""
    path = folder / CSV
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(
    folder: Path, rows: Sequence[Row], ratio: float, sentences: Mapping[str, str]
) -> None:
    """Write ``folder/table.csv`` and ``folder/table.md``, each whole or not at all.

    Args:
        folder: the folder of both tables.
        rows: all rows.
        ratio: the common colorfulness ratio.
        sentences: what each variant changes, in the order of the tables.
    """
    order = {name: place for place, name in enumerate(sentences)}
    rows = sorted(rows, key=lambda row: order[row["variant"]])
    write_series(folder / CSV, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
    lines = [
        "Each cell: CIEDE2000 / PSNR in dB / colorfulness ratio / Lab layout distance.",
        "",
        "With the vividness of each variant:",
        "",
        *_table(rows, OWN),
        "",
        f"With chroma scaled to a colorfulness ratio of {ratio:g} over all photos:",
        "",
        *_table(rows, EQUAL),
        "",
    ]
    names = dict.fromkeys(row["variant"] for row in rows)
    lines += [f"- {name}: {sentences[name]}" for name in names if sentences[name]]
    with new_file(folder / MARKDOWN) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(rows: Sequence[Row], colors: str) -> list[str]:
    wanted = [row for row in rows if row["colors"] == colors]
    sets = list(dict.fromkeys(row["set"] for row in wanted))
    lines = [_line(["variant", "images/s", "vividness", *sets])]
    lines.append(_line(["---", "---:", "---:", *["---"] * len(sets)]))
    for name in dict.fromkeys(row["variant"] for row in wanted):
        own = {row["set"]: row for row in wanted if row["variant"] == name}
        first = next(iter(own.values()))
        cells = [name, first["images_per_second"], f"{float(first['vividness']):.2f}"]
        lines.append(_line([*cells, *(_cell(own[each]) for each in sets)]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: Row) -> str:
    return " / ".join(
        f"{float(row[name]):.{digits}f}" if row[name] else "–" for name, digits in _SHOWN.items()
    )
