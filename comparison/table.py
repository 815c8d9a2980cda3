"""What the comparison comes to: a table of all runs, and answers to what their authors asked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison.pictures import draw_curves, make_sheet, read_curve
from comparison.rows import COLORING, METRICS, PHOTOS
from comparison.settings import Comparison, Question, read_speed
from pipeline.errors import ColorpipeError
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.metric_table import (
    PHOTO_METRICS,
    RECOGNITION_METRICS,
    SET_METRICS,
    PhotoMetric,
)
from pipeline.evaluation.report import compare_results, read_photos
from pipeline.evaluation.scores import GRAY, PhotoScores, Summary
from pipeline.evaluation.tables import write_series
from pipeline.files.outputs import new_file, new_folder

SPENT = (
    "parameters",
    "epochs",
    "images",
    "seconds",
    "images_per_second",
    "peak_memory_gb",
    "precision",
)
"""What a run took, as its file of costs names it."""

TABLE, RESULTS, PICTURES = "table.csv", "results.md", "pictures"
"""The files of :func:`write_table`, and the folder of its pictures."""

CURVES, SHEET = "curves.png", "sheet.jpg"
CURVES_BY_SIZE, SHEET_BY_SIZE = "curves-by-size.png", "sheet-by-size.jpg"
"""The pictures; those by size only if there is a run at another size."""


@dataclass(frozen=True)
class Row:
    """What is known of a run."""

    run: str
    costs: Mapping[str, Any]
    """Empty for weights that were not trained here, and for gray."""
    curve: Sequence[Mapping[str, float]]
    """An epoch each: images, seconds and the metrics of the validation photos."""
    coloring: Mapping[str, Any]
    distances: Mapping[str, float]
    """From the ground truth, by the name of the metric of sets."""


class Table:
    """All runs, evaluated on the same photos.

    Args:
        comparison: the settings.
        rows: the folder of what each run was evaluated to.
        costs: the folder of ``RUN.json``, what each run took.
        curves: the folder of a folder of curves for each run.
        speeds: the measured speeds, for a budget in seconds.

    Raises:
        ColorpipeError: a run has not been trained or evaluated, or on other photos.
    """

    def __init__(
        self, comparison: Comparison, *, rows: Path, costs: Path, curves: Path, speeds: Path
    ) -> None:
        self.comparison = comparison
        self.rows: list[Row] = []
        scores: list[PhotoScores] = []
        for run in comparison.results:
            metrics = _read_json(rows / run / METRICS, f"evaluate@{run}")
            spent, curve = {}, []
            if run in comparison.runs:
                spent = _read_json(costs / f"{run}.json", f"train@{run}")
                pace = 1.0
                if comparison.budget.unit == "seconds":
                    pace = spent["images_per_second"] / read_speed(speeds, run)
                curve = read_curve(curves / run, spent, pace)
            coloring = _read_json(rows / run / COLORING, f"evaluate@{run}")
            self.rows.append(Row(run, spent, curve, coloring, _distances(metrics, run)))
            own = read_photos(rows / run / PHOTOS)
            scores += [scored for scored in own if scored.result == run]
        gray = [scored for scored in own if scored.result == GRAY]
        scores += gray
        photos = [scored.photo for scored in gray]
        for run in comparison.results:
            if [scored.photo for scored in scores if scored.result == run] != photos:
                raise ColorpipeError(
                    f"The runs in {rows} were evaluated on different photos; run `dvc repro` in"
                    " comparison."
                )
        self.rows.append(Row(GRAY, {}, [], {}, _distances(metrics, GRAY)))
        self.metrics = (
            *PHOTO_METRICS,
            *(m for m in RECOGNITION_METRICS if set(m.scores) <= gray[0].scores.keys()),
        )
        params = comparison.evaluate
        self.everything = Summary(scores, params.resamples, params.seed)
        self.by_kind = {
            kind: Summary(
                [scored for scored in scores if scored.category == kind],
                params.resamples,
                params.seed,
            )
            for kind in sorted({scored.category for scored in gray})
        }

    def write_csv(self, path: Path) -> None:
        """Write every metric of every run with its interval."""
        columns = ["run", *SPENT, "photos_per_second", "test_photos"]
        for metric in self.metrics:
            columns += [metric.name, f"{metric.name}_low", f"{metric.name}_high"]
        distances = [metric.name for metric in SET_METRICS if metric.name in self.rows[0].distances]
        lines = []
        for row in self.rows:
            line: list[Any] = [row.run, *(row.costs.get(name, "") for name in SPENT)]
            line += [row.coloring.get("photos_per_second", ""), self.everything.count]
            for metric in self.metrics:
                line += _cells(self.everything.estimate(metric, row.run), metric.digits)
            lines.append([*line, *(row.distances[name] for name in distances)])
        write_series(path, [*columns, *distances], lines)

    def markdown(self) -> str:
        """Return tables, pictures and answers."""
        budget = self.comparison.budget
        spent = f"{budget.amount} seconds of one core" if budget.unit == "seconds" else ""
        lines = [
            "# The systems compared",
            "",
            f"Each trained for {spent or f'{budget.amount} images'}, to whole epochs, on the same"
            f" photos; {self.everything.count} test photos, 95 % intervals. The settings are in"
            " `params.yaml`; `dvc repro` in this folder rebuilds it all.",
            "",
            "## What it took",
            "",
            *self._costs(),
            "",
            f"![The validation photos' CIEDE2000 after each epoch]({PICTURES}/{CURVES})",
            "",
            "## How it came out",
            "",
            *self._quality(),
            "",
            "## By kind of photo",
            "",
            "CIEDE2000 and, behind it, the colorfulness ratio.",
            "",
            *self._kinds(),
            "",
            "The photos on which the systems disagree most come first:",
            "",
            f"![Gray, every run and the ground truth]({PICTURES}/{SHEET})",
            *self._seeds(),
            *self._sizes(),
        ]
        for question in self.comparison.questions:
            lines += ["", *self._answer(question)]
        return "\n".join(lines) + "\n"

    def _costs(self) -> list[str]:
        first = min((row.curve[0]["images"] for row in self.rows if row.curve), default=0)
        cells = []
        for row in self.rows:
            if not row.costs:
                continue
            at_first = next((e for e in row.curve if e["images"] >= first), None)
            cells.append(
                [
                    row.run,
                    f"{row.costs['parameters'] / 1e6:.1f}",
                    *(str(row.costs[name]) for name in ("images", "precision", "seconds")),
                    str(row.costs["peak_memory_gb"]),
                    str(row.coloring["photos_per_second"]),
                    *(
                        f"{epoch['ciede2000']:.2f}" if epoch and "ciede2000" in epoch else "–"
                        for epoch in (at_first, row.curve[-1] if row.curve else None)
                    ),
                ]
            )
        return _table(
            [
                "run",
                "million parameters",
                "images",
                "computed in",
                "seconds",
                "peak GB",
                "photos/s colored",
                f"validation CIEDE2000 after {first:.0f} images",
                "and at the end",
            ],
            cells,
        )

    def _quality(self) -> list[str]:
        distances = [metric for metric in SET_METRICS if metric.name in self.rows[0].distances]
        return _table(
            ["run", *(metric.title for metric in (*self.metrics, *distances))],
            [
                [
                    row.run,
                    *(
                        _interval(self.everything.estimate(metric, row.run), metric.digits)
                        for metric in self.metrics
                    ),
                    *(f"{row.distances[metric.name]:.{metric.digits}f}" for metric in distances),
                ]
                for row in self.rows
            ],
        )

    def _kinds(self) -> list[str]:
        by_name = {metric.name: metric for metric in PHOTO_METRICS}
        difference, colorfulness = by_name["ciede2000"], by_name["colorfulness_ratio"]

        def cell(summary: Summary, run: str) -> str:
            values = (summary.estimate(metric, run) for metric in (difference, colorfulness))
            return " / ".join("–" if v is None else f"{v.value:.2f}" for v in values)

        return _table(
            ["run", *self.by_kind],
            [
                [row.run, *(cell(summary, row.run) for summary in self.by_kind.values())]
                for row in self.rows
            ],
        )

    def _seeds(self) -> list[str]:
        return self._changes(
            "What another seed changes",
            "Runs that differ in nothing but the seed. A difference between systems that is no"
            " larger says nothing of the systems.",
            list(self.comparison.repeats.items()),
        )

    def _sizes(self) -> list[str]:
        changes = self._changes(
            "What another size changes",
            "The same budget, spent on fewer and larger pictures. The test photos are the same, and"
            " are colored at the size of the training, at which the validation photos of the curves"
            " are measured too.",
            [
                (run, first)
                for run, named in self.comparison.resized.items()
                for first in self.comparison.seeds_of(named)
            ],
        )
        if not changes:
            return []
        curves = f"![The validation photos' CIEDE2000 by size]({PICTURES}/{CURVES_BY_SIZE})"
        sheet = f"![Gray, each size and the ground truth]({PICTURES}/{SHEET_BY_SIZE})"
        return [*changes, "", curves, "", sheet]

    def _changes(self, title: str, text: str, pairs: Sequence[tuple[str, str]]) -> list[str]:
        if not pairs:
            return []
        distances = {row.run: row.distances for row in self.rows}
        sets = [metric for metric in SET_METRICS if metric.name in self.rows[0].distances]
        cells = []
        for run, first in pairs:
            changes = [
                _interval(self.everything.difference(metric, run, first), metric.digits)
                for metric in self.metrics
            ]
            for metric in sets:
                change = distances[run][metric.name] - distances[first][metric.name]
                changes.append(f"{change:.{metric.digits}f}")
            cells.append([f"{run} minus {first}", *changes])
        columns = ["runs", *(metric.title for metric in (*self.metrics, *sets))]
        return ["", f"## {title}", "", text, "", *_table(columns, cells)]

    def _answer(self, question: Question) -> list[str]:
        first, second = question.better, question.than
        pairs = self.comparison.pairs(question)
        speed = {row.run: row.costs["images_per_second"] for row in self.rows if row.costs}
        speeds = []
        if {first, second} <= speed.keys():
            speeds = [
                f"{first} trained at {speed[first]:.1f} images a second, {second} at"
                f" {speed[second]:.1f}: a ratio of {speed[first] / speed[second]:.2f}.",
                "",
            ]
        return [
            f"## {question.text}",
            "",
            *speeds,
            *_table(
                [
                    "metric",
                    *(f"{one} minus {other}" for one, other in pairs),
                    "better" if len(pairs) == 1 else "better, by all of them",
                ],
                [self._compared(metric, pairs) for metric in self.metrics],
            ),
        ]

    def _compared(self, metric: PhotoMetric, pairs: Sequence[tuple[str, str]]) -> list[str]:
        found = [compare_results(self.everything, metric, *pair) for pair in pairs]
        winners = {self.comparison.system(each.better) for each in found}
        return [
            metric.title,
            *(_interval(each.difference, metric.digits + 1) for each in found),
            (winners.pop() if len(winners) == 1 else "") or "not shown",
        ]


def write_table(
    comparison: Comparison,
    split: Path,
    *,
    rows: Path,
    costs: Path,
    curves: Path,
    speeds: Path,
    out: Path,
) -> None:
    """Write what all runs took and how they did: :data:`TABLE` and the other files, into ``out``.

    Args:
        comparison: the settings.
        split: the photos that the runs were evaluated on.
        rows: the folder of what each run was evaluated to.
        costs: the folder of ``RUN.json``, what each run took.
        curves: the folder of a folder of curves for each run.
        speeds: the measured speeds, for a budget in seconds.
        out: the folder for the files.

    Raises:
        ColorpipeError: a run has not been trained or evaluated, or on other photos.
    """
    table = Table(comparison, rows=rows, costs=costs, curves=curves, speeds=speeds)
    table.write_csv(out / TABLE)
    with new_file(out / RESULTS) as temporary:
        temporary.write_text(table.markdown(), encoding="utf-8")
    with new_folder(out / PICTURES) as folder:
        _write_pictures(folder, table, split, rows)


def _write_pictures(folder: Path, table: Table, split: Path, rows: Path) -> None:
    comparison = table.comparison
    curves = {row.run: row.curve for row in table.rows}
    runs = [run for run in comparison.runs if run not in comparison.resized]
    draw_curves(folder / CURVES, comparison, runs, curves)
    systems = [result for result in comparison.results if comparison.system(result) == result]
    make_sheet(comparison, split, rows, systems).save(folder / SHEET, quality=80)
    if comparison.resized:
        firsts = dict.fromkeys(comparison.resized.values())
        by_size = [run for first in firsts for run in comparison.sizes_of(first)]
        draw_curves(folder / CURVES_BY_SIZE, comparison, by_size, curves)
        make_sheet(comparison, split, rows, by_size).save(folder / SHEET_BY_SIZE, quality=80)


def _distances(metrics: Mapping[str, Any], result: str) -> dict[str, float]:
    return {
        metric.name: metrics[metric.name][result]
        for metric in SET_METRICS
        if metric.name in metrics
    }


def _read_json(path: Path, stage: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ColorpipeError(
            f"{path} cannot be read ({error}); run `dvc repro {stage}` in comparison."
        ) from error
    return content


def _cells(estimate: Estimate | None, digits: int) -> list[float | str]:
    if estimate is None:
        return ["", "", ""]
    ends = ("" if math.isnan(end) else round(end, digits) for end in (estimate.low, estimate.high))
    return [round(estimate.value, digits), *ends]


def _interval(estimate: Estimate | None, digits: int) -> str:
    value, low, high = _cells(estimate, digits)
    if value == "":
        return "–"
    return f"{value:g} (–)" if low == "" else f"{value:g} ({low:g} to {high:g})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows)]
