"""The page of an evaluation: one HTML file that says what a model does, and shows it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.dataset.filters import DROPPED, CleanRow
from pipeline.errors import ColorpipeError
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.gallery import choose_gallery
from pipeline.evaluation.metric_table import find_metric
from pipeline.evaluation.report import (
    EVERYTHING,
    PairedComparison,
    Scorecard,
    interval,
    what_is_better,
)
from pipeline.evaluation.scores import GRAY, GROUND_TRUTH, PhotoScores
from pipeline.files.csv_tables import read_table
from pipeline.files.outputs import new_file
from pipeline.imaging.decode import RGB
from pipeline.pages.charts import Points, histogram, line_chart
from pipeline.pages.gallery import Gallery, GalleryPhoto, Order
from pipeline.pages.rendering import picture, render

PAGE = "report.html"

PICTURES = 420
"""Pictures on the page at most, so that it stays below 20 MB whatever they show."""
_ERROR = find_metric("ciede2000")
_READING = (
    "CIEDE2000 is a difference as people see it: 1 is barely visible, 10 is another shade. The"
    " ground truth is the photo in its own colors, gray is the photo without any. Intervals are"
    " 95 % confidence intervals over photos."
)
_MEANINGS = (
    "The colorfulness ratio is Hasler and Süsstrunk's colorfulness divided by that of the ground"
    " truth; the absolute one is computed as for CT2 and DDColor. Balanced CIEDE2000 is CIEDE2000"
    " times 1 + |1 - colorfulness ratio|: gray costs twice its difference. The Lab layout distance"
    " is the Fréchet distance of means and deviations of Lab in 4 x 4 parts of the photo."
)


class ShownPhotos:
    """The photos on the page: all of them, or else the best, the worst and some of every category.

    Pictures are scaled and compressed as they come, and those that will not be shown are dropped on
    the way, so that memory does not grow with the number of photos.

    Args:
        names: of all test photos.
        models: the results besides gray; the best and the worst are so by the first one's error.
    """

    def __init__(self, names: Sequence[str], models: Sequence[str]) -> None:
        self._models = list(models)
        self._count = len(names)
        limit = max(PICTURES // (len(models) + 2), 3)
        self._each = limit // 3
        self._limit = limit
        self._chosen = choose_gallery(names, limit if len(names) <= limit else self._each)
        self._photos: list[GalleryPhoto] = []

    def add(self, scored: Sequence[PhotoScores], truth: RGB, results: Mapping[str, RGB]) -> None:
        """Take up a photo: the scores of its results, and the pixels."""
        first = scored[0]
        errors = {each.result: each.scores[_ERROR.name] for each in scored}
        listed = ", ".join(f"{name} {errors[name]:.1f}" for name in [*self._models, GRAY])
        pictures = {GRAY: picture(results[GRAY][..., 0])}
        pictures |= {name: picture(results[name]) for name in self._models}
        pictures[GROUND_TRUTH] = picture(truth)
        self._photos.append(
            GalleryPhoto(
                first.photo,
                first.category,
                pictures,
                f"CIEDE2000: {listed}",
                first.photo,
                {name: round(errors[name], 3) for name in self._models},
            )
        )
        if len(self._photos) >= 2 * self._limit:
            self._photos = self._kept()

    def gallery(self) -> Gallery:
        """Return the photos, the worst of the first model at the top."""
        orders = [
            Order(f"{name}: {words}", name, direction)
            for name in self._models
            for words, direction in (("worst first", -1), ("best first", 1))
        ]
        photos = sorted(self._kept(), key=lambda photo: photo.values[self._models[0]], reverse=True)
        results = [GRAY, *self._models, GROUND_TRUTH]
        return Gallery(photos, results, GRAY, self._models[0], [*orders, Order("by name")])

    @property
    def description(self) -> str:
        """Which photos are shown, as a sentence."""
        if self._count <= self._limit:
            return f"All {self._count} test photos."
        return (
            f"Of {self._count} test photos the {self._each} with the least CIEDE2000 of"
            f" {self._models[0]}, the {self._each} with the largest, and {len(self._chosen)} of all"
            " categories."
        )

    def _kept(self) -> list[GalleryPhoto]:
        if self._count <= self._limit:
            return self._photos
        ranked = sorted(self._photos, key=lambda photo: photo.values[self._models[0]])
        ends = {photo.name for photo in [*ranked[: self._each], *ranked[-self._each :]]}
        return [photo for photo in ranked if photo.name in ends | self._chosen]


@dataclass(frozen=True)
class Background:
    """What the page says beside the figures; read before any work, so that it cannot fail then."""

    curves: Mapping[str, Mapping[str, Points]]
    """By title the curves of the training, each a list of (epoch, value)."""
    cleaning: Mapping[tuple[str, str], int]
    """How many raw photos had which decision and reason."""

    @classmethod
    def read(cls, curves: Path | None, clean_report: Path | None) -> Background:
        """Read the curves in a folder of `colorpipe train` and a table of `colorpipe clean`.

        What is None or not there is left out.

        Raises:
            ColorpipeError: a file is damaged or cannot be read, or ``curves`` is one.
        """
        if curves and curves.is_file():
            raise ColorpipeError(
                f"{curves} is a file; name the folder of the curves that `colorpipe train` wrote"
                " with --curves."
            )
        rows = read_table(clean_report, CleanRow) if clean_report and clean_report.exists() else []
        cleaning = Counter((row.decision, row.reason) for row in rows)
        return cls(_read_curves(curves) if curves else {}, cleaning)


def write_evaluation(
    path: Path,
    card: Scorecard,
    shown: ShownPhotos,
    *,
    background: Background,
    notes: Sequence[str],
    details: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the page.

    Args:
        path: the file.
        card: the figures.
        shown: the photos.
        background: curves of the training, and what was dropped from the data set.
        notes: sentences on the metrics.
        details: tables of parameters and versions by title.
    """
    page = render(
        "evaluation.html",
        verdicts=_verdicts(card),
        reading=_READING,
        count=card.overall.count,
        results=card.scores.results,
        metrics=_metrics(card),
        directions=what_is_better([*card.scores.metrics, *card.set_metrics]),
        meanings=_MEANINGS,
        notes=notes,
        caution=card.caution,
        comparisons=_comparisons(card),
        categories=_categories(card),
        distributions=_distributions(card),
        curves=[line_chart(title, lines, "epoch") for title, lines in background.curves.items()],
        cleaning=_cleaning(background),
        gallery=shown.gallery(),
        chosen=shown.description,
        details=details,
    )
    with new_file(path) as temporary:
        # A category or a model may have a name that is not text.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _verdicts(card: Scorecard) -> list[str]:
    """Compare every model with gray, and with the first model."""
    first, *others = models = [result for result in card.scores.results if result != GRAY]
    return [
        *(verdict(card, model, GRAY) for model in models),
        *(verdict(card, model, first) for model in others),
    ]


def verdict(card: Scorecard, result: str, baseline: str) -> str:
    """Say in a sentence whether a result is closer to the ground truth than gray or another is."""
    (found,) = (
        comparison
        for comparison in card.comparisons
        if comparison.metric is _ERROR
        and (comparison.result, comparison.baseline) == (result, baseline)
    )
    own, theirs = (card.overall.estimate(_ERROR, name) for name in (result, baseline))
    other = GRAY if baseline == GRAY else f"“{baseline}”"
    change = found.difference
    if not (change and own and theirs):
        return f"The result “{result}” could not be compared with {other}."
    ratio = card.overall.estimate(find_metric("colorfulness_ratio"), result)
    colorful = ""
    if ratio and baseline == GRAY:
        colorful = f" It is {ratio.value:.2f} times as colorful as the ground truth."
    if not found.better:
        return (
            f"These photos do not show whether the result “{result}” is closer to the ground truth"
            f" than {other}: CIEDE2000 {own.value:.2f} and {theirs.value:.2f}, a difference of"
            f" {change.value:.2f} ({interval(change, 2)}).{colorful}"
        )
    place = "closer to" if found.better == result else "farther from"
    side = "below" if change.value < 0 else "above"
    low, high = sorted((abs(change.low), abs(change.high)))
    return (
        f"The result “{result}” is {place} the ground truth than {other}: CIEDE2000"
        f" {own.value:.2f}, which is {abs(change.value):.2f} ({low:.2f} to {high:.2f}) {side} the"
        f" {theirs.value:.2f} of {other}.{colorful}"
    )


def _figure(estimate: Estimate | None, digits: int) -> dict[str, str]:
    if estimate is None:
        return {"value": "–", "interval": ""}
    return {"value": f"{estimate.value:.{digits}f}", "interval": interval(estimate, digits)}


def _metrics(card: Scorecard) -> list[dict[str, Any]]:
    results = card.scores.results
    rows: list[dict[str, Any]] = [
        {
            "heading": metric.heading,
            "cells": [_figure(card.overall.estimate(metric, r), metric.digits) for r in results],
        }
        for metric in card.scores.metrics
    ]
    for distance in card.set_metrics:
        values = [card.distances[result][distance.name] for result in results]
        cells = [
            {"value": "–" if value is None else f"{value:.{distance.digits}f}", "interval": ""}
            for value in values
        ]
        rows.append({"heading": distance.heading, "cells": cells})
    return rows


def _comparisons(card: Scorecard) -> list[dict[str, Any]]:
    """Return a table for each pair: models with each other first, and then with gray."""
    pairs: dict[tuple[str, str], list[PairedComparison]] = {}
    for found in card.comparisons:
        pairs.setdefault((found.result, found.baseline), []).append(found)
    return [
        {
            "title": f"{result} minus {baseline}",
            "summary": _in_how_many(compared, result, baseline),
            "result": result,
            "rows": [
                {
                    "heading": found.metric.heading,
                    "difference": _figure(found.difference, found.metric.digits + 1),
                    "better": found.better,
                }
                for found in compared
            ],
        }
        for (result, baseline), compared in sorted(
            pairs.items(), key=lambda pair: pair[0][1] == GRAY
        )
    ]


def _in_how_many(compared: Sequence[PairedComparison], result: str, baseline: str) -> str:
    """Say in how many metrics a result is better than another, and in how many worse."""
    better = Counter(found.better for found in compared)
    counts = {"better": better[result], "worse": better[baseline], "not shown": better[""]}
    said = ", ".join(f"{words} in {count}" for words, count in counts.items() if count)
    return f"{result} against {baseline}: of {len(compared)} metrics {said}"


def _categories(card: Scorecard) -> list[dict[str, Any]]:
    results = card.scores.results
    found = {
        (category, result): summary.estimate(_ERROR, result)
        for category, summary in card.summaries.items()
        for result in results
    }
    most = max((each.value for each in found.values() if each), default=0.0) or 1.0
    rows = []
    for category, summary in card.summaries.items():
        cells = []
        for result in results:
            estimate = found[category, result]
            share = round(100 * estimate.value / most) if estimate else 0
            cells.append({"share": share, "figure": _figure(estimate, _ERROR.digits)})
        name = "all" if category == EVERYTHING else category
        rows.append({"category": name, "count": summary.count, "cells": cells})
    return rows


def _distributions(card: Scorecard) -> list[Markup]:
    by_result: dict[str, list[PhotoScores]] = {result: [] for result in card.scores.results}
    for scored in card.scores.photos:
        by_result[scored.result].append(scored)
    errors = {
        result: [each.scores["ciede2000"] for each in scored]
        for result, scored in by_result.items()
    }
    # Gray has none.
    colorful = {
        result: [each.scores["colorfulness"] for each in scored]
        for result, scored in by_result.items()
        if result != GRAY
    }
    colorful[GROUND_TRUTH] = [each.scores["ground_truth_colorfulness"] for each in by_result[GRAY]]
    return [
        histogram("CIEDE2000 of each photo", errors, "CIEDE2000", "photos"),
        histogram(
            "Colorfulness of each photo", colorful, "colorfulness (Hasler and Süsstrunk)", "photos"
        ),
    ]


def _cleaning(background: Background) -> list[dict[str, Any]]:
    """What was used first, and then the reasons for dropping, the most frequent first."""
    ordered = sorted(
        background.cleaning.items(),
        key=lambda entry: (entry[0][0] == DROPPED, -entry[1], entry[0]),
    )
    return [
        {"decision": decision, "reason": reason, "count": count}
        for (decision, reason), count in ordered
    ]


_CURVES = {
    "Loss of the generator": ("losses.tsv", {"generator": "generator"}),
    "Loss of the discriminator": ("discriminator.tsv", {"discriminator": "discriminator"}),
    "CIEDE2000 of the validation photos": (
        "validation.tsv",
        {"ciede2000": "CIEDE2000", "balanced": "balanced by colorfulness"},
    ),
    "Colorfulness ratio of the validation photos": (
        "validation.tsv",
        {"colorfulness_ratio": "colorfulness ratio"},
    ),
}
"""By title of the chart: the table, and the columns of it by what they are called."""


def _read_curves(folder: Path) -> dict[str, dict[str, Points]]:
    charts: dict[str, dict[str, Points]] = {}
    for title, (name, columns) in _CURVES.items():
        path = folder / name
        if not path.exists():
            continue
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
            lines: dict[str, Points] = {
                called: [(float(row["epoch"]), float(row[key])) for row in rows if row[key]]
                for key, called in columns.items()
            }
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ColorpipeError(
                f"{path} is not a curve that `colorpipe train` wrote; train again, or name another"
                " folder with --curves."
            ) from error
        except OSError as error:
            raise ColorpipeError(
                f"{path} could not be read ({error.strerror}); name another folder with --curves."
            ) from error
        if any(lines.values()):
            charts[title] = lines
    return charts
