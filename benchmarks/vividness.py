"""How much stronger than predicted colors should be: by what they miss, and by settings tried.

    python benchmarks/vividness.py --model WEIGHTS --test FOLDER --test FOLDER 1.25:0 1.4:16

The first table sorts all photos by the mean chroma that was learned to predict, cuts them into
tenths, and puts what it should have been beside it: pale photos are far more colorful in truth, and
vivid ones hardly. The second has a row for each setting, ``vividness:pale`` of the recipe
``colorpipe``, and what it makes of the photos of each folder: CIEDE2000 / colorfulness ratio / Lab
layout distance. A folder has ``test_x`` and ``test_y``, as `colorpipe split` makes them.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ablation_evaluation import Figures, HeldOut, evaluate, read_held_out
from numpy.typing import NDArray

from pipeline.imaging.color import rgb_to_lab
from pipeline.imaging.decode import RGB
from pipeline.inference.colorizer import Colorizer
from pipeline.models.torch_predictor import TorchPredictor
from pipeline.models.weights import load_generator
from pipeline.recipes.colorpipe import Colorpipe

PARTS = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="weights of the recipe colorpipe")
    parser.add_argument(
        "--test", type=Path, action="append", required=True, help="a folder of held-out photos"
    )
    parser.add_argument("--photos", type=int, default=600, help="of each folder, at most")
    parser.add_argument("settings", nargs="*", type=setting, help="vividness:pale to try")
    options = parser.parse_args(arguments)
    sets = [read_held_out(folder, options.photos) for folder in options.test]
    print("| photos | predicted chroma | ground truth | ratio |\n| --- | ---: | ---: | ---: |")
    for count, predicted, true in by_chroma(colorizer(options.model, 1.0, 0.0), sets):
        print(f"| {count} | {predicted:.1f} | {true:.1f} | {true / predicted:.2f} |", flush=True)
    print("\n| vividness | pale | " + " | ".join(each.name for each in sets) + " |")
    print("| ---: | ---: | " + " | ".join("---" for _ in sets) + " |")
    for vividness, pale in options.settings:
        figures = evaluate(colorizer(options.model, vividness, pale), 1.0, sets)
        cells = " | ".join(cell(each) for each in figures)
        print(f"| {vividness:g} | {pale:g} | {cells} |", flush=True)


def setting(text: str) -> tuple[float, float]:
    """Read ``vividness:pale``, for :mod:`argparse`."""
    vividness, _, pale = text.partition(":")
    return float(vividness), float(pale)


def colorizer(model: Path, vividness: float, pale: float) -> Colorizer:
    """Load weights with settings other than their own."""
    generator = load_generator(model)
    own = {**generator.recipe.options(), "vividness": vividness, "pale": pale}
    recipe = Colorpipe(type(generator.recipe.settings).model_validate(own))
    return Colorizer(TorchPredictor(dataclasses.replace(generator, recipe=recipe)))


def by_chroma(plain: Colorizer, sets: Sequence[HeldOut]) -> list[tuple[int, float, float]]:
    """Return for each tenth of all photos, palest first: photos, predicted and true mean chroma."""
    grays = [gray for each in sets for gray in each.grays]
    predicted = chroma(np.asarray(made, np.uint8) for made in plain.colorize_many(grays))
    true = chroma(original for each in sets for original in each.originals)
    parts = np.array_split(predicted.argsort(kind="stable"), PARTS)
    return [
        (len(part), float(predicted[part].mean()), float(true[part].mean()))
        for part in parts
        if len(part)
    ]


def chroma(photos: Iterable[RGB]) -> NDArray[np.float64]:
    """Return the mean CIE chroma of each photo."""
    return np.array(
        [np.hypot(*np.moveaxis(rgb_to_lab(rgb)[..., 1:], 2, 0)).mean() for rgb in photos]
    )


def cell(figures: Figures) -> str:
    """Return what a setting makes of a set of photos."""
    layout = figures.layout_distance
    return (
        f"{figures.ciede2000:.2f} / {figures.colorfulness_ratio:.2f} /"
        f" {'–' if layout is None else format(layout, '.0f')}"
    )


if __name__ == "__main__":
    main()
