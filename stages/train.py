"""Train a recipe on the split photos."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import check_replaceable, new_folder, told
from pipeline.models.device import choose_dtype, keep_freed_memory
from pipeline.models.weights import save_generator
from pipeline.params import TrainParams
from pipeline.recipes import recipe_of
from pipeline.training.checkpoints import Checkpoint, code_digest, run_key
from pipeline.training.distributed import Processes
from pipeline.training.init_weights import starting_weights
from pipeline.training.loss_log import Curve
from pipeline.training.photo_set import PhotoSet, read_photos
from pipeline.training.trainer import Trainer

CURVES = ("losses.tsv", "discriminator.tsv", "validation.tsv")
SAMPLES = "samples"
"""What the folder of curves holds: tables, and a folder of contact sheets."""


@dataclass(frozen=True)
class Effort:
    """What a training run took, all its parts together if it was stopped."""

    epochs: int
    images: int
    """How many the network has seen, each as often as it came up."""
    seconds: float
    """Of training, looks at validation photos and checkpoints included."""


def train(split: Path, model: Path, curves: Path, params: TrainParams) -> Effort:
    """Train ``params.recipe`` on ``split/train_*`` and write the generator to ``model``.

    ``split/val_*``, where there is one, is watched after every epoch. ``curves`` becomes a folder
    with ``losses.tsv``, ``discriminator.tsv`` and ``validation.tsv``, a row an epoch, and
    ``samples``, a contact sheet of validation photos an epoch. Trained weights that training
    starts from (``params.init``) are watched too, as epoch 0. A run that is stopped leaves a
    checkpoint and goes on when the same is asked for again, of the same code.

    Several processes, launched by ``torchrun`` or ``accelerate launch``, share every batch.

    Returns:
        What it took.

    Raises:
        ColorpipeError: the split or a parameter is wrong, ``model`` or ``curves`` cannot be
            written there, another process trains the same, training diverged, or memory ran out.
        StoppedError: the user stopped it.
    """
    recipe = recipe_of(params)
    _check_outputs(split, model, curves)
    start = starting_weights(params, recipe)
    keep_freed_memory()
    processes = Processes(params.device)
    dtype = choose_dtype(processes.device, params.precision)
    if processes.first:
        _read(split)
    processes.wait()
    photos, validation = _read(split)
    keep = params.keep or ("best" if validation else "last")
    checkpoint = Checkpoint(
        run_key(
            {
                "recipe": recipe.name,
                "settings": recipe.options(),
                "start": start.fingerprint if start else None,
                "seed": params.seed,
                "keep": [keep, params.metric],
                "samples": params.samples,
                "photos": photos.fingerprint,
                "validation": validation.fingerprint if validation else None,
                "device": processes.device.type,
                "processes": processes.count,
                "dtype": str(dtype),
                "torch": torch.__version__,
                "code": code_digest(Path(__file__)),
            }
        )
    )
    trainer = Trainer(
        recipe,
        photos,
        validation=validation,
        seed=params.seed,
        processes=processes,
        dtype=dtype,
        checkpoint=checkpoint,
        best_in=params.metric if keep == "best" else None,
        samples=params.samples,
        start=start.tensors if start else None,
        compiled=params.compile,
    )
    if processes.first:
        print(
            f"Training {recipe.name} from {start.path if start else 'scratch'} on {len(photos)}"
            f" photos, {recipe.settings.epochs} epochs, on {_devices(processes)} in"
            f" {str(dtype).removeprefix('torch.')}."
        )
    with checkpoint.held() if processes.first else contextlib.nullcontext():
        generator = trainer.run()
        if processes.first:
            _write(trainer, generator, model, curves)
            checkpoint.remove()
    settings = recipe.settings
    return Effort(settings.epochs, trainer.steps * settings.batch_size, trainer.seconds)


def _check_outputs(split: Path, model: Path, curves: Path) -> None:
    """Say before training what would be said after it, or not at all."""
    if model.is_dir():
        raise ColorpipeError(
            f"{model} is a folder, but the weights are to be written there; name a file with"
            " --model."
        )
    check_replaceable(curves, "--curves", near=[split, model], known=_is_curve)


def _is_curve(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    if folder:
        return folder == SAMPLES and name.startswith("epoch-") and name.endswith(".png")
    return name in CURVES


def _read(split: Path) -> tuple[PhotoSet, PhotoSet | None]:
    photos = read_photos(split, "train")
    # A split of very few photos has none to spare.
    watched = (split / "val_y").is_dir() and any((split / "val_y").iterdir())
    return photos, read_photos(split, "val") if watched else None


def _devices(processes: Processes) -> str:
    if processes.count == 1:
        return processes.device.type
    return f"{processes.count} processes of {processes.device.type}"


def _write(trainer: Trainer, generator: nn.Module, model: Path, curves: Path) -> None:
    with new_folder(curves) as folder:
        losses = trainer.losses.rows
        _write_curve(folder / "losses.tsv", losses, ("epoch", "generator"))
        # By itself: a plot would draw the phases that have none as zero.
        judged = [
            {name: row[name] for name in ("epoch", "discriminator")}
            for row in losses
            if "discriminator" in row
        ]
        _write_curve(folder / "discriminator.tsv", judged, ("epoch", "discriminator"))
        watched = ("epoch", "ciede2000", "colorfulness_ratio", "balanced")
        _write_curve(folder / "validation.tsv", trainer.candidates.rows, watched)
        if sheets := trainer.checkpoint.sheets():
            (folder / SAMPLES).mkdir()
            for sheet in sheets:
                shutil.copyfile(sheet, folder / SAMPLES / sheet.name)
    try:
        save_generator(model, generator, trainer.recipe)
    except (OSError, SafetensorError) as error:
        what = told(error) if isinstance(error, OSError) else str(error)
        raise ColorpipeError(
            f"The weights {model} could not be written: {what}; the run is kept, and the same"
            " command with room for them, or with another --model, writes them at once."
        ) from error
    if best := trainer.candidates.best:
        metric, epochs = trainer.candidates.best_in, trainer.recipe.settings.epochs
        print(
            f"The best weights by {metric} are those of epoch {best.epoch} of {epochs}."
            if best.epoch
            else f"No epoch was better by {metric} than the weights that training started from:"
            " they are kept as they were."
        )
    print(f"The generator is in {model}, its curves are in {curves}.")


def _write_curve(path: Path, rows: Curve, first: Sequence[str]) -> None:
    """Write a tab-separated table, columns ``first`` first; what a row has not, stays empty."""
    columns = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
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
