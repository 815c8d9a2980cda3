"""One run of the comparison: a system trained for as long as all others."""

from __future__ import annotations

import ast
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from comparison.settings import Comparison, read_speed
from pipeline.errors import ColorpipeError
from pipeline.evaluation.tables import write_metrics
from pipeline.files.memory import keep_freed_memory
from pipeline.models.device import choose_device, choose_dtype
from pipeline.params import DeviceName, TrainParams, override
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.distributed import Processes
from pipeline.training.photo_set import PhotoSet, read_photos
from pipeline.training.plan import recipe_of
from pipeline.training.trainer import Trainer
from stages.train import train

_PROJECT = Path(__file__).parents[1]

_TIMED = 5.0
"""At least so many seconds of training measure a phase's speed; its first step, which is slower,
does not count."""


def train_run(
    comparison: Comparison,
    run: str,
    split: Path,
    *,
    speeds: Path,
    model: Path,
    curves: Path,
    costs: Path,
) -> None:
    """Train a run with the budget of all.

    Killed at any moment, it resumes from its checkpoint when it is called again.

    Args:
        comparison: the settings.
        run: its name there.
        split: the folder of ``train_*`` and ``val_*``.
        speeds: what :func:`measure_speeds` wrote; needed for a budget in seconds.
        model: the weights to write.
        curves: the folder to write, as :func:`stages.train.train` does.
        costs: the file to write: parameters, epochs, images, seconds, memory and precision (JSON).

    Raises:
        ColorpipeError: there is no such run, its speed is not known, or training it failed.
        StoppedError: the user stopped it.
    """
    keep_freed_memory()
    params = comparison.params(run)
    photos = read_photos(split, "train")
    budget = comparison.budget
    images = budget.amount
    if budget.unit == "seconds":
        images = round(budget.amount * read_speed(speeds, run))
    epochs = epochs_for(images, params, photos)
    effort = train(split, model, curves, override(params, {"epochs": epochs}))
    precision = choose_dtype(choose_device(params.device), params.precision)
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
            "precision": str(precision).removeprefix("torch."),
            "epoch_seconds": [round(seconds, 1) for seconds in effort.epoch_seconds],
            "code": meaning_of(params.recipe),
        },
    )


def meaning_of(recipe: str) -> str:
    """Return a hash of the code that makes a system what it is: its recipe and the networks.

    Comments, docstrings and layout do not count. A row whose costs hold another hash is older than
    the code.
    """
    recipes = _PROJECT / "pipeline/recipes"
    modules = [recipes / f"{recipe}.py", *sorted((recipes / "shared").glob("*.py"))]
    modules += sorted((_PROJECT / "pipeline/networks").glob("*.py"))
    digest = hashlib.sha256()
    for path in modules:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [line for line in node.body if not _is_docstring(line)]
        digest.update(f"{path.name} {ast.dump(tree)}".encode())
    return digest.hexdigest()[:16]


def _is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a constant by itself, which does nothing."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def epochs_for(images: int, params: TrainParams, photos: PhotoSet) -> int:
    """Return how many whole epochs come closest to so many images, at least one.

    Raises:
        ColorpipeError: a batch is larger than the photos are many.
    """
    batch_size = recipe_of(params).settings.batch_size
    if batch_size > len(photos):
        raise ColorpipeError(
            f"A batch of {batch_size} cannot be drawn from {len(photos)} training photos; lower"
            " train.batch_size in comparison/params.yaml, or raise scrape.limit."
        )
    return max(1, round(images / (len(photos) // batch_size * batch_size)))


def measure_speeds(comparison: Comparison, split: Path, speeds: Path) -> None:
    """Measure how fast every run trains on one core of this machine, or on its GPU, one by one.

    A budget in seconds is kept by these figures: all runs were measured on the same machine, and
    each may then be trained on another, or on one that is busy.

    Args:
        comparison: the settings.
        split: the folder of ``train_*``.
        speeds: the file to write: images a second by run (JSON).

    Raises:
        ColorpipeError: there are no photos, or a run cannot be trained.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    photos = read_photos(split, "train")
    found: dict[str, float] = {}
    for run in comparison.runs:
        if run in comparison.repeats:  # the same budget is as many images
            found[run] = found[comparison.repeats[run]]
            continue
        found[run] = round(speed(comparison.params(run), photos), 2)
        print(f"{run}: {found[run]} images a second", file=sys.stderr)
    write_metrics(speeds, found)


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
    clock = time.process_time if trainer.device.type == "cpu" else time.perf_counter
    started, steps = clock(), 0
    while True:
        trainer.advance(1)
        steps, seconds = steps + 1, clock() - started
        if seconds >= _TIMED or trainer.step >= last:
            return seconds / steps


def _peak_memory(device: DeviceName) -> int:
    """Return the most bytes that were in use: the GPU's where that trained, else the process's."""
    if choose_device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
