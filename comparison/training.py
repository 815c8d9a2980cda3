"""One run of the comparison: a system trained for as long as all others."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from comparison.settings import Budget, Comparison
from pipeline.errors import ColorpipeError
from pipeline.evaluation.tables import write_metrics
from pipeline.files.memory import keep_freed_memory
from pipeline.files.outputs import new_file
from pipeline.models.device import DeviceName, choose_device, choose_dtype
from pipeline.params import TrainParams, override
from pipeline.training.checkpoints import Checkpoint, code_digest, run_key
from pipeline.training.distributed import Processes
from pipeline.training.photo_set import PhotoSet, read_photos
from pipeline.training.plan import recipe_of
from pipeline.training.trainer import Trainer
from stages.train import train

NOTES = Path(".colorpipe/comparison")
"""Where unfinished runs keep the number of their epochs."""

_TIMED = 5.0
"""At least so many seconds of training measure a phase's speed; its first step, which is slower,
does not count."""


def train_run(
    comparison: Comparison, run: str, split: Path, *, model: Path, curves: Path, costs: Path
) -> None:
    """Train a run with the budget of all.

    Killed at any moment, it resumes from its checkpoint when it is called again.

    Args:
        comparison: the settings.
        run: its name there.
        split: the folder of ``train_*`` and ``val_*``.
        model: the weights to write.
        curves: the folder to write, as :func:`stages.train.train` does.
        costs: the file to write: parameters, epochs, images, seconds and memory (JSON).

    Raises:
        ColorpipeError: there is no such run, or training it failed.
        StoppedError: the user stopped it.
    """
    keep_freed_memory()
    params = comparison.params(run)
    photos = read_photos(split, "train")
    facts = [params.model_dump(mode="json"), comparison.budget.model_dump(), photos.fingerprint]
    note = NOTES / f"{run_key({'run': facts, 'code': code_digest(params.recipe)})}.json"
    epochs = epochs_for(comparison.budget, params, photos, note)
    effort = train(split, model, curves, override(params, {"epochs": epochs}))
    with torch.device("meta"):
        weights = sum(w.numel() for w in recipe_of(params).generator().parameters())
    write_metrics(
        costs,
        {
            "parameters": weights,
            "epochs": effort.epochs,
            "images": effort.images,
            "seconds": round(effort.seconds, 1),
            "images_per_second": round(effort.images / effort.seconds, 2),
            "peak_memory_gb": round(_peak_memory(params.device) / 1e9, 2),
        },
    )
    note.unlink(missing_ok=True)


def epochs_for(budget: Budget, params: TrainParams, photos: PhotoSet, note: Path) -> int:
    """Return how many epochs the budget allows, at least one.

    For a budget in seconds the speed is measured, and the answer kept in ``note``: a resumed run
    has the epochs that it began with.

    Raises:
        ColorpipeError: a batch is larger than the photos are many.
    """
    batch_size = recipe_of(params).settings.batch_size
    if batch_size > len(photos):
        raise ColorpipeError(
            f"A batch of {batch_size} cannot be drawn from {len(photos)} training photos; lower"
            " train.batch_size in comparison/params.yaml, or raise scrape.limit."
        )
    images = len(photos) // batch_size * batch_size
    if budget.unit == "images":
        return max(1, round(budget.amount / images))
    if note.exists():
        return int(json.loads(note.read_text(encoding="utf-8"))["epochs"])
    epochs = max(1, round(budget.amount * speed(params, photos) / images))
    with new_file(note) as temporary:
        temporary.write_text(json.dumps({"epochs": epochs}), encoding="utf-8")
    return epochs


def speed(params: TrainParams, photos: PhotoSet) -> float:
    """Return the images a second of a whole training, from some steps in each of its phases."""
    processes = Processes(params.device)
    recipe = recipe_of(params)
    with tempfile.TemporaryDirectory(prefix="colorpipe-speed-") as folder:
        trainer = Trainer(
            recipe,
            photos,
            validation=None,
            seed=params.seed,
            processes=processes,
            dtype=choose_dtype(processes.device, params.precision),
            checkpoint=Checkpoint("speed", Path(folder)),
            compiled=params.compile,
        )
        seconds, epoch, per_epoch = 0.0, 0, trainer.sampler.steps_per_epoch
        for phase in recipe.phases:
            trainer.step = epoch * per_epoch
            epoch += phase.epochs
            seconds += phase.epochs * _seconds_a_step(trainer, epoch * per_epoch)
    return epoch * recipe.settings.batch_size / seconds


def _seconds_a_step(trainer: Trainer, last: int) -> float:
    if trainer.step + 1 < last:
        trainer.advance(1)
    started, steps = time.perf_counter(), 0
    while True:
        trainer.advance(1)
        steps, seconds = steps + 1, time.perf_counter() - started
        if seconds >= _TIMED or trainer.step >= last:
            return seconds / steps


def _peak_memory(device: DeviceName) -> int:
    """Return the most bytes that were in use: the GPU's where that trained, else the process's."""
    if choose_device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
