"""The files and tables of an evaluation: what the scores come to, for people and for DVC."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.metric_table import (
    SET_METRICS,
    Better,
    Metric,
    PhotoMetric,
    SetMetric,
)
from pipeline.evaluation.scores import GRAY, PhotoScores, Scores, Summary
from pipeline.evaluation.tables import print_table, write_metrics, write_series

EVERYTHING = "(all)"
"""In the place of a category: all photos."""

ENOUGH = 6
"""Photos without which nothing is called better."""
TOO_FEW = (
    f"By fewer than {ENOUGH} photos no result is called better than another: that five photos agree"
    " happens by chance in one case of 16, and intervals of so few are too narrow."
)

FILES = ("metrics.json", "categories.csv", "comparison.csv", "photos.csv")
"""What :meth:`Scorecard.write` writes."""

_ABOUT_PHOTO = ["photo", "category", "result"]
"""The columns of the table of photos before the scores."""


@dataclass(frozen=True)
class PairedComparison:
    """A result against a baseline in one metric, on the same photos."""

    metric: PhotoMetric
    result: str
    baseline: str
    difference: Estimate | None
    """``result`` minus ``baseline``, with its paired interval; None where it is not defined."""
    better: str
    """The better of the two, or "" when the photos do not show which it is."""


def compare_results(
    summary: Summary, metric: PhotoMetric, result: str, baseline: str
) -> PairedComparison:
    """Compare two results in one metric.

    One is better when the paired interval of the difference of their costs leaves out zero. The
    cost of a colorfulness ratio is its distance from 1, on either side.

    The interval of a few photos that agree always leaves out zero. By a sign test, 2^(1 - n) for n
    photos that agree, less than :data:`ENOUGH` show nothing at 95 %.
    """
    cost = summary.cost_difference(metric, result, baseline)
    better = ""
    if cost and summary.count >= ENOUGH:
        if cost.high < 0:
            better = result
        elif cost.low > 0:
            better = baseline
    change = summary.difference(metric, result, baseline)
    return PairedComparison(metric, result, baseline, change, better)


def read_photos(path: Path) -> list[PhotoScores]:
    """Read the scores that :meth:`Scorecard.write_photos` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is another table.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        if rows.fieldnames is None or list(rows.fieldnames[:3]) != _ABOUT_PHOTO:
            raise ValueError(f"{path} is no table of scores.")
        return [
            PhotoScores(
                row["photo"],
                row["category"],
                row["result"],
                {name: float(value) for name, value in row.items() if name not in _ABOUT_PHOTO},
            )
            for row in rows
        ]


class Scorecard:
    """Sums up scores, overall and by category, and compares each result with those before it.

    Args:
        scores: of all photos; the results are the models' in their order, then gray.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
        inception: which file FID and KID are from, or "" when they are left out.
    """

    def __init__(self, scores: Scores, resamples: int, seed: int, inception: str = "") -> None:
        self.scores = scores
        self.inception = inception
        self.overall = scores.summary(resamples, seed)
        self.summaries = {EVERYTHING: self.overall} | {
            category: scores.summary(resamples, seed, category) for category in scores.categories
        }
        self.distances = {result: scores.distances(result) for result in scores.results}
        self.comparisons = [
            compare_results(self.overall, metric, result, baseline)
            for result, baseline in _pairs(scores.results)
            for metric in scores.metrics
        ]

    def write(self, folder: Path) -> None:
        """Write :data:`FILES` into a folder."""
        metrics, categories, comparison, photos = (folder / name for name in FILES)
        write_metrics(metrics, self.metrics())
        self._write_categories(categories)
        self._write_comparisons(comparison)
        self.write_photos(photos)

    def write_photos(self, path: Path) -> None:
        """Write every score of every photo as CSV; :func:`read_photos` reads it."""
        write_series(
            path,
            [*_ABOUT_PHOTO, *self.scores.score_names],
            (
                [
                    scored.photo,
                    scored.category,
                    scored.result,
                    *(round(scored.scores[name], 4) for name in self.scores.score_names),
                ]
                for scored in self.scores.photos
            ),
        )

    def metrics(self) -> dict[str, Any]:
        """Return every metric over all photos, by metric and then by result; null: not defined."""
        found: dict[str, Any] = {"photos": self.overall.count}
        for metric in self.scores.metrics:
            found[metric.name] = {
                result: _rounded(self.overall.estimate(metric, result), metric.digits)
                for result in self.scores.results
            }
        for distance in self.set_metrics:
            found[distance.name] = {
                result: _plain(self.distances[result][distance.name], distance.digits)
                for result in self.scores.results
            }
        if self.inception:
            found["inception"] = self.inception
        return found

    @property
    def set_metrics(self) -> list[SetMetric]:
        """The distances between sets that were computed."""
        return [metric for metric in SET_METRICS if metric.name in self.distances[GRAY]]

    @property
    def caution(self) -> str:
        """Why nothing is called better, where the photos are too few; otherwise ""."""
        return TOO_FEW if self.overall.count < ENOUGH else ""

    def _write_categories(self, path: Path) -> None:
        """Write a row a category and result; ``label`` names both, for a bar a row."""
        columns = ["label", "category", "result", "photos"]
        for metric in self.scores.metrics:
            columns += [metric.name, f"{metric.name}_low", f"{metric.name}_high"]
        rows = []
        for category, summary in self.summaries.items():
            for result in self.scores.results:
                row: list[Any] = [f"{category} {result}", category, result, summary.count]
                for metric in self.scores.metrics:
                    row += _cells(summary.estimate(metric, result), metric.digits)
                rows.append(row)
        write_series(path, columns, rows)

    def _write_comparisons(self, path: Path) -> None:
        write_series(
            path,
            ["metric", "result", "baseline", "difference", "low", "high", "better"],
            (
                [
                    found.metric.name,
                    found.result,
                    found.baseline,
                    *_cells(found.difference, found.metric.digits + 1),
                    found.better,
                ]
                for found in self.comparisons
            ),
        )

    def print(self) -> None:
        """Print the figures over all photos and the comparisons as tables."""
        results = self.scores.results
        rows = [
            [
                metric.heading,
                *(_text(self.overall.estimate(metric, r), metric.digits) for r in results),
            ]
            for metric in self.scores.metrics
        ]
        for distance in self.set_metrics:
            values = [self.distances[result][distance.name] for result in results]
            rows.append(
                [
                    distance.heading,
                    *("–" if v is None else f"{v:.{distance.digits}f}" for v in values),
                ]
            )
        print_table(
            f"{self.overall.count} photos, mean (95 % interval)",
            ["", *results],
            rows,
            what_is_better([*self.scores.metrics, *self.set_metrics]),
        )
        for result, baseline in _pairs(results):
            print_table(
                f"{result} minus {baseline}, on the same photos (95 % interval)",
                ["", "difference", "better"],
                [
                    [
                        c.metric.heading,
                        _text(c.difference, c.metric.digits + 1),
                        c.better or "not shown",
                    ]
                    for c in self.comparisons
                    if (c.result, c.baseline) == (result, baseline)
                ],
            )
        if self.caution:
            print(self.caution)


def what_is_better(metrics: Sequence[Metric]) -> str:
    """Say of which metrics more is better, of which less, and of which exactly 1."""
    words: Mapping[Better, str] = {"more": "More", "less": "Less", "one": "Exactly 1"}
    sentences = []
    for better, word in words.items():
        titles = [metric.title for metric in metrics if metric.better == better]
        if titles:
            sentences.append(f"{word} is better: {', '.join(titles)}.")
    return " ".join(sentences)


def _pairs(results: Sequence[str]) -> list[tuple[str, str]]:
    """Pair every model with those before it and with gray, the last of the results."""
    models = [result for result in results if result != GRAY]
    return [(model, baseline) for i, model in enumerate(models) for baseline in [*models[:i], GRAY]]


def _plain(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _rounded(estimate: Estimate | None, digits: int) -> float | None:
    return _plain(estimate.value if estimate else None, digits)


def _cells(estimate: Estimate | None, digits: int) -> list[float | str]:
    if estimate is None:
        return ["", "", ""]
    ends = (estimate.low, estimate.high)
    return [
        round(estimate.value, digits),
        *("" if math.isnan(x) else round(x, digits) for x in ends),
    ]


def _text(estimate: Estimate | None, digits: int) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.{digits}f} ({interval(estimate, digits)})"


def interval(estimate: Estimate, digits: int) -> str:
    """Return the ends of an interval, as in "1.5 to 2.0"; a dash where there is none."""
    if math.isnan(estimate.low):
        return "–"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
