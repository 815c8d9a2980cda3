"""The pictures of the comparison: learning curves, and photos as all systems color them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

from comparison.rows import STRIP, read_strip
from comparison.settings import Comparison
from pipeline.dataset.split_folder import category_of, list_pairs
from pipeline.errors import ColorpipeError
from pipeline.evaluation.gallery import choose_gallery
from pipeline.evaluation.scores import GRAY, GROUND_TRUTH
from pipeline.evaluation.truth_pairs import read_pairs
from pipeline.imaging.color import rgb_to_lab
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB, ImageError

_CELL = 96


def read_curve(folder: Path, costs: Mapping[str, Any], pace: float) -> list[dict[str, float]]:
    """Read the validation after each epoch, with the images and seconds until then.

    Args:
        folder: the curves of a run.
        costs: what the run took, on whichever machine it was trained.
        pace: how many times as long it takes on the machine that is the measure for all.

    Raises:
        ColorpipeError: the curves are not there.
    """
    path = folder / "validation.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except OSError as error:
        raise ColorpipeError(
            f"{path} cannot be read ({error}); run `dvc repro train@{folder.name}` in comparison."
        ) from error
    curve = []
    for row in rows:
        numbers = {name: float(value) for name, value in row.items() if value}
        epoch = int(numbers["epoch"])
        if epoch == 0:  # what weights were worth before training has no place over what it took
            continue
        images = costs["images"] * epoch / costs["epochs"]
        seconds = pace * costs["epoch_seconds"][epoch - 1]
        curve.append(numbers | {"images": images, "seconds": seconds})
    return curve


def draw_curves(
    path: Path,
    comparison: Comparison,
    runs: Sequence[str],
    curves: Mapping[str, Sequence[Mapping[str, float]]],
) -> None:
    """Draw CIEDE2000 of the validation photos over seconds and over images, as PNG.

    Other seeds of a run are dashed, other sizes dotted, in its color.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    systems = dict.fromkeys(comparison.system(run) for run in runs)
    colors = {system: colormaps["tab20"](number) for number, system in enumerate(systems)}
    for axis, over in zip(panels, ("seconds", "images"), strict=True):
        for run in runs:
            points = [epoch for epoch in curves[run] if "ciede2000" in epoch]
            xs, ys = ([epoch[name] for epoch in points] for name in (over, "ciede2000"))
            axis.plot(
                xs,
                ys,
                color=colors[comparison.system(run)],
                linestyle=_line(comparison, run),
                marker="o",
                markersize=4,
                label=run,
            )
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.xaxis.set_minor_formatter("")
        axis.set_xlabel(over)
        axis.grid(alpha=0.3)
    panels[0].set_ylabel("CIEDE2000 of the validation photos")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.savefig(path, format="png", dpi=110)


def _line(comparison: Comparison, run: str) -> str:
    if run in comparison.repeats:
        return "--"
    return ":" if run in comparison.resized else "-"


def make_sheet(
    comparison: Comparison, split: Path, rows: Path, results: Sequence[str]
) -> Image.Image:
    """Lay out gray, each of ``results`` and the ground truth, a photo a row.

    The photos on which they disagree most come first: disagreement is the mean distance of chroma
    between two of them, over all pairs.

    Raises:
        ColorpipeError: a run has not been evaluated.
    """
    names = list_pairs(split, "test")
    chosen = sorted(choose_gallery(names, comparison.evaluate.gallery))
    strips = [_strip(rows / result / STRIP, len(chosen)) for result in results]
    shown: list[tuple[float, str, list[RGB]]] = []
    for i, pair in enumerate(read_pairs(split, chosen)):
        colored = [strip[i] for strip in strips]
        gray = np.repeat(pair.gray[..., None], 3, axis=2)
        shown.append((_disagreement(colored), category_of(pair.name), [gray, *colored, pair.truth]))
    shown.sort(key=lambda row: -row[0])
    return contact_sheet(
        [pictures for _, _, pictures in shown],
        [category for _, category, _ in shown],
        [GRAY, *results, GROUND_TRUTH],
        cell=_CELL,
    )


def _strip(path: Path, count: int) -> list[RGB]:
    try:
        return read_strip(path, count)
    except (ImageError, ValueError) as error:
        raise ColorpipeError(
            f"{path} cannot be read ({error}); run `dvc repro evaluate@{path.parent.name}` in"
            " comparison."
        ) from error


def _disagreement(pictures: Sequence[RGB]) -> float:
    chroma = [rgb_to_lab(picture)[..., 1:] for picture in pictures]
    pairs = combinations(chroma, 2)
    return float(np.mean([np.linalg.norm(a - b, axis=-1).mean() for a, b in pairs]))
