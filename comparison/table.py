"""What the comparison comes to: a table of all runs, and answers to what their authors asked."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.settings import Comparison, Question
from pipeline.errors import ColorpipeError
from pipeline.evaluation.metric_table import PHOTO_METRICS
from pipeline.evaluation.report import EVERYTHING
from pipeline.evaluation.scores import GRAY
from pipeline.evaluation.tables import write_series
from pipeline.files.outputs import new_file

SPENT = ("parameters", "epochs", "images", "seconds", "images_per_second", "peak_memory_gb")
"""What a run took, as its file of costs names it."""

Row = Mapping[str, str]


def write_table(
    comparison: Comparison, costs: Path, reports: Path, table: Path, results: Path
) -> None:
    """Write what all runs took and how they did.

    Args:
        comparison: the settings.
        costs: the folder of ``RUN.json``, what each run took.
        reports: the folder that the evaluation of all runs wrote.
        table: the file to write, a row a run (CSV).
        results: the file to write with intervals and answers (Markdown).

    Raises:
        ColorpipeError: a run has not been trained, or the runs have not been evaluated.
    """
    categories = _read_csv(reports / "categories.csv")
    overall = {row["result"]: row for row in categories if row["category"] == EVERYTHING}
    if missing := [run for run in (*comparison.runs, GRAY) if run not in overall]:
        raise ColorpipeError(
            f"{reports} has no metrics of {missing[0]}; run `dvc repro evaluate` in comparison."
        )
    rows = [_row(run, _costs(costs, run), overall[run]) for run in comparison.runs]
    rows.append(_row(GRAY, dict.fromkeys(SPENT, ""), overall[GRAY]))
    differences = _read_csv(reports / "comparison.csv")
    write_series(table, list(rows[0]), (list(row.values()) for row in rows))
    with new_file(results) as temporary:
        temporary.write_text(markdown(comparison, rows, differences), encoding="utf-8")


def _row(run: str, costs: Mapping[str, Any], metrics: Row) -> dict[str, str]:
    row = {"run": run} | {name: str(costs[name]) for name in SPENT}
    row["test_photos"] = metrics["photos"]
    for metric in PHOTO_METRICS:
        for name in (metric.name, f"{metric.name}_low", f"{metric.name}_high"):
            row[name] = metrics[name]
    return row


def _costs(folder: Path, run: str) -> dict[str, Any]:
    path = folder / f"{run}.json"
    try:
        costs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ColorpipeError(
            f"{path} cannot be read ({error}); run `dvc repro train@{run}` in comparison."
        ) from error
    return costs


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except OSError as error:
        raise ColorpipeError(
            f"{path} cannot be read ({error}); run `dvc repro evaluate` in comparison."
        ) from error


def markdown(comparison: Comparison, rows: Sequence[Row], differences: Sequence[Row]) -> str:
    """Return the table and the answers as Markdown."""
    budget, gray = comparison.budget, rows[-1]
    lines = [
        "# The systems compared",
        "",
        f"Each trained for {budget.amount} {budget.unit}, on the same photos; {gray['test_photos']}"
        " test photos, 95 % intervals. The settings are in `params.yaml`; `dvc repro` in this"
        " folder rebuilds it all.",
        "",
    ]
    lines += _table(
        [
            "run",
            "million parameters",
            "images",
            "seconds",
            "images/s",
            "peak GB",
            *(metric.name for metric in PHOTO_METRICS),
        ],
        [
            [*_spent(row), *(_interval(row, metric.name) for metric in PHOTO_METRICS)]
            for row in rows
        ],
    )
    by_run = {row["run"]: row for row in rows}
    for question in comparison.questions:
        lines += ["", *_answer(question, by_run, differences)]
    return "\n".join(lines) + "\n"


def _spent(row: Row) -> list[str]:
    weights = f"{int(row['parameters']) / 1e6:.1f}" if row["parameters"] else ""
    names = ("images", "seconds", "images_per_second", "peak_memory_gb")
    return [row["run"], weights, *(row[name] for name in names)]


def _interval(row: Row, name: str) -> str:
    if not row[name]:
        return "–"
    return f"{row[name]} ({row[f'{name}_low']} to {row[f'{name}_high']})"


def _answer(question: Question, by_run: Mapping[str, Row], differences: Sequence[Row]) -> list[str]:
    first, second = question.better, question.than
    speeds = [float(by_run[run]["images_per_second"]) for run in (first, second)]
    return [
        f"## {question.text}",
        "",
        f"{first} trained at {speeds[0]:.1f} images a second, {second} at {speeds[1]:.1f}: a ratio"
        f" of {speeds[0] / speeds[1]:.2f}.",
        "",
        *_table(
            ["metric", f"{first} minus {second}", "better"],
            answers(first, second, differences),
        ),
    ]


def answers(first: str, second: str, differences: Sequence[Row]) -> list[list[str]]:
    """Return for each metric its name, first minus second, and the better of the two.

    Args:
        first: a run.
        second: another.
        differences: rows of ``comparison.csv``, each pair in one of the two orders.
    """
    found = []
    for row in differences:
        if {row["result"], row["baseline"]} != {first, second}:
            continue
        difference = "–"
        if row["difference"]:
            value, low, high = (float(row[name]) for name in ("difference", "low", "high"))
            if row["result"] == second:
                value, low, high = -value, -high, -low
            difference = f"{value:g} ({low:g} to {high:g})"
        found.append([row["metric"], difference, row["better"] or "not shown"])
    return found


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows)]
