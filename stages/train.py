"""Train a recipe on the split photos."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.checkpoints import Checkpoint, run_key
from pipeline.dataset import read_photos
from pipeline.images import new_folder
from pipeline.params import TrainParams
from pipeline.recipes import recipe_of
from pipeline.runtime import choose_device, choose_dtype, keep_freed_memory
from pipeline.training import Curve, Trainer
from pipeline.weights import save_generator


def train(split: Path, model: Path, curves: Path, params: TrainParams) -> None:
    """Train ``params.recipe`` on ``split/train_*`` and write the generator to ``model``.

    ``split/val_*``, where there is one, is watched after every epoch. ``curves`` becomes a folder
    with ``losses.tsv`` and ``validation.tsv``, a row an epoch. A run that is stopped leaves a
    checkpoint and goes on when the same is asked for again.

    Raises:
        ColorpipeError: the split or a parameter is wrong, training diverged, or memory ran out.
        StoppedError: the user stopped it.
    """
    recipe = recipe_of(params)
    keep_freed_memory()
    device = choose_device(params.device)
    dtype = choose_dtype(device, params.precision)
    photos = read_photos(split, "train")
    validation = read_photos(split, "val") if (split / "val_y").is_dir() else None
    checkpoint = Checkpoint(
        run_key(
            {
                "recipe": recipe.name,
                "settings": recipe.options(),
                "seed": params.seed,
                "photos": photos.fingerprint,
                "validation": validation.fingerprint if validation else None,
                "device": device.type,
                "dtype": str(dtype),
            }
        )
    )
    print(
        f"Training {recipe.name} on {len(photos)} photos, {recipe.settings.epochs} epochs, on"
        f" {device.type} in {str(dtype).removeprefix('torch.')}."
    )
    trainer = Trainer(
        recipe,
        photos,
        validation=validation,
        seed=params.seed,
        device=device,
        dtype=dtype,
        checkpoint=checkpoint,
    )
    generator = trainer.run()
    with new_folder(curves) as folder:
        _write_curve(
            folder / "losses.tsv",
            trainer.progress.losses,
            always=("epoch", "generator", "discriminator"),
        )
        if trainer.progress.validation:
            _write_curve(folder / "validation.tsv", trainer.progress.validation)
    save_generator(model, generator, recipe)
    checkpoint.remove()
    print(f"The generator is in {model}, its curves are in {curves}.")


def _write_curve(path: Path, rows: Curve, always: Sequence[str] = ("epoch",)) -> None:
    """Write a tab-separated table; what a phase or a recipe does not have leaves its cell empty."""
    columns = list(dict.fromkeys([*always, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(
                [
                    ""
                    if name not in row
                    else int(row[name])
                    if name == "epoch"
                    else f"{row[name]:.6g}"
                    for name in columns
                ]
            )
