"""What each part of the recipe ``colorpipe`` is worth: variants with one change, trained alike.

    python benchmarks/ablations.py --split data/split --test held-out --out ablations
    python benchmarks/ablations.py ... --gray-split SPLIT      also with near-gray photos left in
    python benchmarks/ablations.py ... "smooth L1" "seed 1"    some of the variants

Each variant starts from nothing and sees as many images as every other. It is judged on held-out
photos, folders with ``test_x`` and ``test_y`` as `colorpipe split` makes them: as vivid as it is,
and with its chroma brought to where all photos together have one colorfulness ratio. For a raw
comparison rewards timid colors: brown is off by less than a wrong red, and no better a guess.

``OUT/table.csv`` has a row for each variant, set and vividness, ``OUT/table.md`` the same to be
read. What stands in the table is not done again; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ablation_variants
import torch
from ablation_judging import (
    HeldOut,
    as_old_prints,
    common_strength,
    judge,
    judge_gray,
    read_held_out,
)
from ablation_table import EQUAL, OWN, Row, read_rows, rows_of, write_rows
from ablation_variants import COMMON, VARIANTS, Variant

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.evaluation.scores import GRAY
from pipeline.evaluation.tables import write_metrics
from pipeline.inference.colorizer import Colorizer
from pipeline.models.device import choose_dtype, keep_freed_memory
from pipeline.models.torch_predictor import TorchPredictor
from pipeline.models.weights import Generator
from pipeline.params import validate
from pipeline.recipes.colorpipe import Colorpipe, ColorpipeSettings
from pipeline.training.checkpoints import Checkpoint, code_digest, run_key
from pipeline.training.distributed import Processes
from pipeline.training.photo_set import PhotoSet, read_photos
from pipeline.training.trainer import Trainer

DONE, NOTHING_DONE, STOPPED = 0, 2, 130
"""Exit codes, those of ``colorpipe``."""

SETTINGS = "settings.json"

EPOCHS = 20
"""So many stretches of a run count as its epochs at least, each a draw of its own from all photos:
a schedule's shares of the epochs then hold however short the run is."""


@dataclass(frozen=True)
class Trained:
    """A variant at the end of its training, and what that took."""

    recipe: Colorpipe
    generator: torch.nn.Module
    images: int
    images_per_second: float
    """Of processor time on a CPU, where other work would distort the clock; else of the clock."""
    checkpoint: Checkpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and judge what is not in the table yet, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", help="their names; all if there is none")
    parser.add_argument("--split", type=Path, required=True, help="photos to learn from: train_y")
    parser.add_argument("--gray-split", type=Path, help="the same, cleaned with --no-drop-gray")
    parser.add_argument("--test", type=Path, action="append", required=True, help="held-out photos")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the table")
    parser.add_argument("--images", type=count, default=30_000, help="that each variant sees")
    parser.add_argument("--size", type=count, default=64, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=count, default=32)
    parser.add_argument("--photos", type=count, default=200, help="of a set to judge, at most")
    parser.add_argument("--ratio", type=float, default=0.8, help="the common colorfulness ratio")
    try:
        run(parser.parse_args(arguments))
    except (ColorpipeError, OSError, KeyboardInterrupt) as error:
        print(f"ablations: {str(error) or 'Stopped.'}", file=sys.stderr)
        return STOPPED if isinstance(error, StoppedError | KeyboardInterrupt) else NOTHING_DONE
    return DONE


def count(text: str) -> int:
    """Read a whole number of at least 1, for :mod:`argparse`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def run(options: argparse.Namespace) -> None:
    """Bring the table up to date, a variant at a time.

    Raises:
        ColorpipeError: a name, a folder or a photo is wrong, or the table is of other settings.
        StoppedError: the user stopped it.
    """
    chosen = choose(options.variants, with_gray=options.gray_split is not None)
    keep_freed_memory()
    sets = [read_held_out(folder, options.photos) for folder in options.test]
    judged = [*sets, as_old_prints(sets)]
    names = [photos.name for photos in judged]
    if len(set(names)) < len(names):
        raise ColorpipeError(
            f"Two sets of photos to judge on are called {max(names, key=names.count)}; give the"
            " folders names of their own."
        )
    photos = read_photos(options.split, "train")
    settings = _settings(options, photos, sets)
    rows = read_rows(options.out) or rows_of(
        {"variant": GRAY, "colors": OWN, "vividness": "0"}, judge_gray(judged)
    )
    sentences = {GRAY: "", **{variant.name: variant.sentence for variant in VARIANTS}}
    for variant in chosen:
        if variant.name in {row["variant"] for row in rows}:
            continue
        own = read_photos(options.gray_split, "train") if variant.near_gray else photos
        _check_held_out(own, sets)
        print(f"{variant.name}: {variant.sentence}", flush=True)
        trained = train(variant, own, options)
        rows += score(variant, trained, sets, judged, options.ratio)
        write_metrics(options.out / SETTINGS, settings)
        write_rows(options.out, rows, options.ratio, sentences)
        trained.checkpoint.remove()


def choose(names: Sequence[str], *, with_gray: bool) -> list[Variant]:
    """Return the variants called ``names``, or all that there are photos for.

    Raises:
        ColorpipeError: there is no such variant, or it needs the split with near-gray photos.
    """
    known = {variant.name: variant for variant in VARIANTS}
    if unknown := [name for name in names if name not in known]:
        raise ColorpipeError(f"There is no variant '{unknown[0]}'; there are {', '.join(known)}.")
    chosen = [known[name] for name in names]
    if not with_gray and (lacking := [each.name for each in chosen if each.near_gray]):
        raise ColorpipeError(
            f"The variant '{lacking[0]}' needs a split made with `colorpipe clean --no-drop-gray`;"
            " name it with --gray-split."
        )
    return chosen or [variant for variant in VARIANTS if with_gray or not variant.near_gray]


def train(variant: Variant, photos: PhotoSet, options: argparse.Namespace) -> Trained:
    """Train ``variant`` on ``photos`` from nothing, for ``options.images`` or a few more.

    Raises:
        ColorpipeError: a setting is not allowed, the photos fill no batch, or training diverged.
        StoppedError: the user stopped it; the state is saved.
    """
    epochs, steps = schedule(options.images, options.batch, len(photos))
    settings = {"size": options.size, "batch_size": options.batch, "epochs": epochs}
    settings = {**COMMON, **settings, **variant.settings}
    recipe = variant.recipe(validate(ColorpipeSettings, settings, f"Variant '{variant.name}'"))
    processes = Processes("auto")
    facts = [variant.name, variant.seed, recipe.options(), steps, photos.fingerprint]
    code = code_digest(recipe.name, Path(ablation_variants.__file__))
    checkpoint = Checkpoint(run_key({"ablation": facts, "code": code}))
    trainer = Trainer(
        recipe,
        photos,
        validation=None,
        seed=variant.seed,
        processes=processes,
        dtype=choose_dtype(processes.device),
        checkpoint=checkpoint,
    )
    trainer.sampler.steps_per_epoch = steps
    before = (checkpoint.load() or {"step": 0})["step"]
    clock = time.process_time if processes.device.type == "cpu" else time.perf_counter
    started = clock()
    generator = trainer.run()
    speed = (trainer.steps - before) * options.batch / (clock() - started)
    return Trained(recipe, generator, trainer.steps * options.batch, speed, checkpoint)


def schedule(images: int, batch: int, photos: int) -> tuple[int, int]:
    """Return how many epochs of how many steps show ``images`` of so many photos, or few more."""
    filled = max(photos // batch, 1) * batch
    epochs = max(EPOCHS, math.ceil(images / filled))
    return epochs, math.ceil(images / (epochs * batch))


def score(
    variant: Variant,
    trained: Trained,
    sets: Sequence[HeldOut],
    judged: Sequence[HeldOut],
    ratio: float,
) -> list[Row]:
    """Judge a variant on ``judged`` as it is, and as vivid as ``ratio`` over ``sets`` asks."""
    recipe = trained.recipe
    # Prediction folds batch norm and changes the type of the weights.
    module = copy.deepcopy(trained.generator)
    colorizer = Colorizer(TorchPredictor(Generator(module, recipe, recipe.settings.size, {})))
    facts = {
        "variant": variant.name,
        "seed": str(variant.seed),
        "images": str(trained.images),
        "images_per_second": f"{trained.images_per_second:.1f}",
    }

    def rows(colors: str, strength: float) -> list[Row]:
        vividness = f"{recipe.settings.vividness * strength:.3f}"
        own = {**facts, "colors": colors, "vividness": vividness}
        return rows_of(own, judge(colorizer, strength, judged))

    strength = common_strength(colorizer, sets, ratio)
    return rows(OWN, 1.0) + (rows(EQUAL, strength) if strength is not None else [])


def _settings(
    options: argparse.Namespace, photos: PhotoSet, sets: Sequence[HeldOut]
) -> dict[str, Any]:
    """Return what all rows of a table have in common, and refuse a table of anything else."""
    facts: dict[str, Any] = {
        name: getattr(options, name) for name in ("images", "size", "batch", "ratio")
    }
    facts["recipe"] = ColorpipeSettings(**COMMON).model_dump(mode="json")
    facts["trained_on"] = photos.fingerprint
    facts["judged_on"] = {photos.name: photos.fingerprint for photos in sets}
    path = options.out / SETTINGS
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != facts:
        raise ColorpipeError(
            f"{path} tells of other settings or photos than are given now, or is of an earlier"
            " version, which did not tell photos apart; name another folder with --out, or delete"
            " this one."
        )
    return facts


def _check_held_out(photos: PhotoSet, sets: Sequence[HeldOut]) -> None:
    for held_out in sets:
        if seen := sorted(set(photos.names) & set(held_out.photos)):
            raise ColorpipeError(
                f"{held_out.name}/{seen[0]} is learned from as well; judge on photos that the split"
                " has not in its training part."
            )


if __name__ == "__main__":
    sys.exit(main())
