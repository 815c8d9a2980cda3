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

import pipeline
from pipeline.errors import ColorpipeError
from pipeline.evaluation.metric_table import PHOTO_METRICS
from pipeline.files.listing import files_in
from pipeline.files.memory import keep_freed_memory
from pipeline.files.outputs import (
    check_place,
    check_replaceable,
    new_file,
    new_folder,
    reason_of,
)
from pipeline.models.device import choose_dtype
from pipeline.models.pretrained import PRETRAINED
from pipeline.models.resolve import is_pretrained
from pipeline.models.weights import read_header, save_generator
from pipeline.params import TrainParams
from pipeline.training.checkpoints import Checkpoint, code_digest, run_key
from pipeline.training.distributed import Processes
from pipeline.training.init_weights import InitialWeights, load_initial_weights
from pipeline.training.live_curves import LiveCurves
from pipeline.training.loss_log import Curve
from pipeline.training.photo_set import PhotoSet, read_photos
from pipeline.training.plan import SCRATCH, as_params_file, plan_of
from pipeline.training.trainer import Trainer

RECORD_BEGINS = "# Written by `colorpipe train`"
"""How the file beside the weights begins that says what they were trained with."""
CURVES = ("losses.tsv", "discriminator.tsv", "validation.tsv")
SAMPLES = "samples"
"""What the folder of curves holds: tables, and a folder of contact sheets."""


@dataclass(frozen=True)
class Effort:
    """What a training run took, all its parts together if it was stopped."""

    epochs: int
    images: int
    """How many pictures the network was trained on, repetitions counted."""
    seconds: float
    """Of training, validation and checkpoints included: of processor time on a CPU, all its cores
    together, and by the clock on a GPU."""
    epoch_seconds: tuple[float, ...]
    """The same, at the end of each epoch."""


def train(split: Path, model: Path, curves: Path, params: TrainParams) -> Effort:
    """Train ``params.recipe`` on ``split/train_*`` and write the generator to ``model``.

    Beside it stands a file of parameters, ``*.yaml``, with every hyper-parameter of the run: it can
    be read, and `colorpipe train --params` repeats the run with it. ``split/val_*``, where there is
    one, is validated on after every epoch, and before the first one if training starts from trained
    weights (epoch 0). ``curves`` becomes a folder with ``losses.tsv``, ``discriminator.tsv`` and
    ``validation.tsv``, a row an epoch, and ``samples``, a contact sheet of validation photos an
    epoch. Where DVCLive is installed, it shows the curves while the run lasts. A run that is
    stopped leaves a checkpoint, from which the same command resumes unless the code has changed.

    Several processes, launched by ``torchrun`` or ``accelerate launch``, share every batch.

    Returns:
        What it took.

    Raises:
        ColorpipeError: the split or a parameter is wrong, an output cannot be written, another
            process runs the same training, training diverged, or memory ran out.
        StoppedError: the user stopped it.
    """
    plan = plan_of(params)
    recipe = plan.recipe
    _check_outputs(split, model, curves, plan.init)
    start = load_initial_weights(plan)
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
                "start": start.sha256 if start else None,
                "seed": params.seed,
                "keep": [keep, params.metric],
                "samples": params.samples,
                "photos": photos.fingerprint,
                "validation": validation.fingerprint if validation else None,
                "device": processes.device.type,
                "processes": processes.count,
                "dtype": str(dtype),
                "torch": torch.__version__,
                "code": code_digest(recipe.name, Path(__file__)),
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
        live=LiveCurves(checkpoint.live),
    )
    if processes.first:
        print(
            f"Training {recipe.name} from {start.path if start else plan.init} (preset"
            f" {plan.preset}) on {len(photos)} photos: epochs {recipe.settings.epochs}, rate"
            f" {recipe.settings.learning_rate:g}, {recipe.settings.size} px, on"
            f" {_devices(processes)} in {_name(dtype)}."
        )
    with checkpoint.held() if processes.first else contextlib.nullcontext():
        generator = trainer.run()
        if processes.first:
            resolved = {
                "keep": keep,
                "device": processes.device.type,
                "precision": _name(dtype),
            }
            notes = _notes(model, trainer, photos, validation, start)
            record = as_params_file(plan, resolved, notes)
            _write(trainer, generator, model, record, curves)
            checkpoint.remove()
    settings = recipe.settings
    return Effort(
        settings.epochs,
        trainer.steps * settings.batch_size,
        trainer.seconds,
        tuple(trainer.epoch_seconds),
    )


def _check_outputs(split: Path, model: Path, curves: Path, init: str) -> None:
    """Refuse outputs that cannot be written, before training."""
    if model.is_dir():
        raise ColorpipeError(
            f"{model} is a folder, but the weights are to be written there; name a file with"
            " --model."
        )
    check_place(model, "--model")
    if model.suffix != ".safetensors" and model.exists() and not _holds_weights(model):
        raise ColorpipeError(
            f"{model} would be replaced by the weights, but does not hold any; name another file"
            " with --model."
        )
    if is_pretrained(model):
        raise ColorpipeError(
            f"{model} has the pretrained weights, which every training from 'pretrained' starts"
            " from; name another file with --model."
        )
    # DVC deletes it before it trains, and a run that was stopped could not resume.
    if init not in {PRETRAINED, SCRATCH} and Path(init).resolve() == model.resolve():
        raise ColorpipeError(
            f"train.init is '{init}', the file that this training would replace; copy it to another"
            " name, and set train.init to the copy."
        )
    record = model.with_suffix(".yaml")
    if record == model:
        raise ColorpipeError(
            f"{model} is a name for the record of a training; name a file of weights, such as"
            f" {model.with_suffix('.safetensors')}, with --model."
        )
    if record.exists() and not _is_record(record):
        raise ColorpipeError(
            f"{record} would be replaced by the record of this training, but was not written by"
            " one; name another file of weights with --model."
        )
    check_replaceable(curves, "--curves", near=[split, model], known=_is_curve)


def _holds_weights(path: Path) -> bool:
    try:
        read_header(path)
    except ColorpipeError:
        return False
    return True


def _is_record(path: Path) -> bool:
    try:
        return path.read_bytes().startswith(RECORD_BEGINS.encode())
    except OSError:
        return False


def _is_curve(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    if folder:
        return folder == SAMPLES and name.startswith("epoch-") and name.endswith(".png")
    return name in CURVES


def _read(split: Path) -> tuple[PhotoSet, PhotoSet | None]:
    photos = read_photos(split, "train")
    # A split of very few photos has none to spare.
    validates = (split / "val_y").is_dir() and files_in(split / "val_y")
    return photos, read_photos(split, "val") if validates else None


def _devices(processes: Processes) -> str:
    if processes.count == 1:
        return processes.device.type
    return f"{processes.count} processes of {processes.device.type}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _notes(
    model: Path,
    trainer: Trainer,
    photos: PhotoSet,
    validation: PhotoSet | None,
    start: InitialWeights | None,
) -> list[str]:
    """Say what a file of parameters has no keys for, as comments of the record of a run."""
    best, epochs = trainer.validation.best, trainer.recipe.settings.epochs
    kept = f"epoch {best.epoch} of {epochs}, the best" if best else f"epoch {epochs}, the last"
    return [
        f"{RECORD_BEGINS.removeprefix('# ')}: what {model.name} was trained with.",
        f"`colorpipe train --params {model.with_suffix('.yaml').name}` trains it again.",
        f"Photos: {len(photos)} to train on, {len(validation or ())} to validate with (fingerprint"
        f" {photos.fingerprint[:16]}).",
        f"Initial weights: {f'SHA-256 {start.sha256}' if start else 'fresh'}.",
        f"Weights kept: those of {kept}.",
        f"Versions: colorpipe {pipeline.__version__}, torch {torch.__version__.partition('+')[0]}.",
    ]


def _write(trainer: Trainer, generator: nn.Module, model: Path, record: str, curves: Path) -> None:
    with new_folder(curves) as folder:
        losses = trainer.losses.rows
        _write_curve(folder / "losses.tsv", losses, ("epoch", "generator"))
        # By itself: a plot would draw the phases that have none as zero.
        adversarial = [
            {name: row[name] for name in ("epoch", "discriminator")}
            for row in losses
            if "discriminator" in row
        ]
        _write_curve(folder / "discriminator.tsv", adversarial, ("epoch", "discriminator"))
        measured = ("epoch", *(metric.name for metric in PHOTO_METRICS))
        _write_curve(folder / "validation.tsv", trainer.validation.rows, measured)
        if sheets := trainer.checkpoint.sheets():
            (folder / SAMPLES).mkdir()
            for sheet in sheets:
                shutil.copyfile(sheet, folder / SAMPLES / sheet.name)
    try:
        # Neither is there without the other.
        with new_file(model.with_suffix(".yaml")) as temporary:
            temporary.write_text(record, encoding="utf-8")
            save_generator(model, generator, trainer.recipe)
    except (OSError, SafetensorError) as error:
        what = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ColorpipeError(
            f"The weights {model} could not be written: {what}; the run is kept, and the same"
            " command with room for them, or with another --model, writes them at once."
        ) from error
    metric, epochs = trainer.validation.best_in, trainer.recipe.settings.epochs
    if best := trainer.validation.best:
        print(
            f"The best weights by {metric} are those of epoch {best.epoch} of {epochs}."
            if best.epoch
            else f"No epoch was better by {metric} than the weights that training started from:"
            " they are kept as they were."
        )
    elif metric:
        print(
            f"The weights of epoch {epochs}, the last, are kept: of these validation photos, which"
            f" have no color, {metric} says nothing, so that none are the best."
        )
    print(
        f"The generator is in {model}, what it was trained with in {model.with_suffix('.yaml')},"
        f" its curves are in {curves}."
    )


def _write_curve(path: Path, rows: Curve, first: Sequence[str]) -> None:
    """Write a tab-separated table, columns ``first`` first; what a row has not, stays empty."""
    columns = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        # The number of an epoch is whole, which ``g`` writes without decimals.
        writer.writerows(
            [f"{row[name]:.6g}" if name in row else "" for name in columns] for row in rows
        )
