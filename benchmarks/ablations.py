"""What each part of the recipe ``colorpipe`` is worth: variants with one change, trained alike.

    python benchmarks/ablations.py --split data/split --test held-out --out ablations
    python benchmarks/ablations.py ... --gray-split SPLIT      also a variant with near-gray photos
    python benchmarks/ablations.py ... "smooth L1" "seed 1"    only these variants

Each variant is trained from scratch on the same number of images. It is evaluated on held-out
photos, in folders with ``test_x`` and ``test_y`` as `colorpipe split` makes them: once with its own
vividness, and once with its chroma scaled so that all photos together have a common colorfulness
ratio. Without that, timid colors win: brown has a smaller error than a wrong red, but is no better
a guess.

``OUT/table.csv`` has a row for each variant, set and vividness, and ``OUT/table.md`` a digest.
Variants that are in the table are not trained again, and a run that was stopped resumes.
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
from ablation_evaluation import (
    HeldOut,
    as_old_prints,
    common_strength,
    evaluate,
    evaluate_gray,
    read_held_out,
)
from ablation_table import EQUAL, OWN, Row, read_rows, rows_of, write_rows
from ablation_variants import COMMON, VARIANTS, Variant

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.evaluation.scores import GRAY
from pipeline.evaluation.tables import write_metrics
from pipeline.files.memory import keep_freed_memory
from pipeline.inference.colorizer import Colorizer
from pipeline.models.device import choose_dtype
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
"""At least so many epochs, each a new sample of the photos: a schedule in parts of the epochs then
works for short runs too."""


@dataclass(frozen=True)
class Trained:
    """A trained variant, and what the training took."""

    recipe: Colorpipe
    generator: torch.nn.Module
    images: int
    images_per_second: float
    """By processor time on a CPU, where other work would distort it, and by the clock elsewhere."""
    checkpoint: Checkpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and evaluate the variants that are not in the table yet; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", help="names of variants; default: all")
    parser.add_argument("--split", type=Path, required=True, help="training photos: train_y")
    parser.add_argument(
        "--gray-split", type=Path, help="the same, cleaned without min_chroma_spread"
    )
    parser.add_argument("--test", type=Path, action="append", required=True, help="held-out photos")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the table")
    parser.add_argument(
        "--images", type=count, default=30_000, help="that each variant is trained on"
    )
    parser.add_argument(
        "--size", type=count, default=64, help="side of the training crops in pixels"
    )
    parser.add_argument("--batch", type=count, default=32)
    parser.add_argument("--photos", type=count, default=200, help="evaluated in each set, at most")
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
    """Add the missing variants to the table, one at a time.

    Raises:
        ColorpipeError: a name, a folder or a photo is wrong, or the table has other settings.
        StoppedError: the user stopped it.
    """
    chosen = choose(options.variants, with_gray=options.gray_split is not None)
    keep_freed_memory()
    sets = [read_held_out(folder, options.photos) for folder in options.test]
    evaluated = [*sets, as_old_prints(sets)]
    names = [photos.name for photos in evaluated]
    if len(set(names)) < len(names):
        raise ColorpipeError(
            f"Two sets of held-out photos are called {max(names, key=names.count)}; give the"
            " folders different names."
        )
    photos = read_photos(options.split, "train")
    settings = _settings(options, photos, sets)
    rows = read_rows(options.out) or rows_of(
        {"variant": GRAY, "colors": OWN, "vividness": "0"}, evaluate_gray(evaluated)
    )
    sentences = {GRAY: "", **{variant.name: variant.sentence for variant in VARIANTS}}
    for variant in chosen:
        if variant.name in {row["variant"] for row in rows}:
            continue
        own = read_photos(options.gray_split, "train") if variant.near_gray else photos
        _check_held_out(own, sets)
        print(f"{variant.name}: {variant.sentence}", flush=True)
        trained = train(variant, own, options)
        rows += score(variant, trained, sets, evaluated, options.ratio)
        write_metrics(options.out / SETTINGS, settings)
        write_rows(options.out, rows, options.ratio, sentences)
        trained.checkpoint.remove()


def choose(names: Sequence[str], *, with_gray: bool) -> list[Variant]:
    """Return the variants called ``names``, or all for which there is a split.

    Raises:
        ColorpipeError: there is no such variant, or it needs the split with near-gray photos.
    """
    known = {variant.name: variant for variant in VARIANTS}
    if unknown := [name for name in names if name not in known]:
        raise ColorpipeError(f"There is no variant '{unknown[0]}'; there are {', '.join(known)}.")
    chosen = [known[name] for name in names]
    if not with_gray and (lacking := [each.name for each in chosen if each.near_gray]):
        raise ColorpipeError(
            f"The variant '{lacking[0]}' needs a split that was cleaned without the check"
            " min_chroma_spread; name it with --gray-split."
        )
    return chosen or [variant for variant in VARIANTS if with_gray or not variant.near_gray]


def train(variant: Variant, photos: PhotoSet, options: argparse.Namespace) -> Trained:
    """Train ``variant`` on ``photos`` from scratch, for ``options.images`` or a few more.

    Raises:
        ColorpipeError: a setting is not allowed, a batch has more photos than there are, or
            training diverged.
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
    """Return the epochs, and the steps of each, that show ``images`` or a few more."""
    filled = max(photos // batch, 1) * batch
    epochs = max(EPOCHS, math.ceil(images / filled))
    return epochs, math.ceil(images / (epochs * batch))


def score(
    variant: Variant,
    trained: Trained,
    sets: Sequence[HeldOut],
    evaluated: Sequence[HeldOut],
    ratio: float,
) -> list[Row]:
    """Evaluate a variant as it is, and scaled to the colorfulness ``ratio`` over ``sets``."""
    recipe = trained.recipe
    # The predictor folds batch norm and changes the type of the weights.
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
        return rows_of(own, evaluate(colorizer, strength, evaluated))

    strength = common_strength(colorizer, sets, ratio)
    return rows(OWN, 1.0) + (rows(EQUAL, strength) if strength is not None else [])


def _settings(
    options: argparse.Namespace, photos: PhotoSet, sets: Sequence[HeldOut]
) -> dict[str, Any]:
    """Return what all rows of a table have in common.

    Raises:
        ColorpipeError: the rows of the table in ``options.out`` have something else in common.
    """
    facts: dict[str, Any] = {
        name: getattr(options, name) for name in ("images", "size", "batch", "ratio")
    }
    facts["recipe"] = ColorpipeSettings(**COMMON).model_dump(mode="json")
    facts["trained_on"] = photos.fingerprint
    facts["evaluated_on"] = {photos.name: photos.fingerprint for photos in sets}
    path = options.out / SETTINGS
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != facts:
        raise ColorpipeError(
            f"{path} is from a run with other settings or photos; name another folder with --out,"
            " or delete this one."
        )
    return facts


def _check_held_out(photos: PhotoSet, sets: Sequence[HeldOut]) -> None:
    for held_out in sets:
        if seen := sorted(set(photos.names) & set(held_out.photos)):
            raise ColorpipeError(
                f"{held_out.name}/{seen[0]} is also a training photo; evaluate on photos that are"
                " not in the training part of the split."
            )


if __name__ == "__main__":
    sys.exit(main())
