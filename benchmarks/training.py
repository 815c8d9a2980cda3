"""Images per second: training by the engine against a plain loop of the same networks.

The plain way is how published code trains: float32, contiguous tensors, the default allocator,
PyTorch's Adam, and a data set that opens, scales and converts each photo again in every epoch with
Pillow and scikit-image. The engine runs with its defaults. Both train the same recipe with the same
batch on the same photos, loading included, each in a process of its own, in turns.

    python benchmarks/training.py --source PHOTOS                 pix2pix, 256 px, batch 16
    python benchmarks/training.py --source PHOTOS --recipe unet --steps 2 --rounds 1
    python benchmarks/training.py --source PHOTOS --device cuda --steps 50
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import ColorpipeError
from pipeline.files.memory import keep_freed_memory
from pipeline.models.device import choose_dtype
from pipeline.recipes import get_recipe
from pipeline.recipes.shared.base import Batch, Recipe
from pipeline.recipes.shared.lab import AB_SCALE
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.distributed import Processes
from pipeline.training.photo_set import read_photos
from pipeline.training.trainer import Trainer

LAB_RECIPES = ("pix2pix", "unet", "cgan", "colorpipe", "dilated-unet", "heartbeat")
WARM_UP = 1


def main() -> None:
    """Make a split, let both ways take turns, print a row a round and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="pix2pix", choices=LAB_RECIPES)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, help="side of the pictures; else the recipe's own")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--source", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--way", choices=("plain", "engine"), help=argparse.SUPPRESS)
    parser.add_argument("--split", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    settings = {"batch_size": options.batch, "epochs": 1000}
    if options.size:
        settings["size"] = options.size
    try:
        recipe = get_recipe(options.recipe, settings)
    except ColorpipeError as error:
        parser.error(str(error))
    if options.way == "plain":
        print(plain(recipe, options.split, options.steps, torch.device(options.device)))
    elif options.way == "engine":
        print(engine(recipe, options.split, options.steps, options.device))
    else:
        alternate(recipe, options)


def alternate(recipe: Recipe, options: argparse.Namespace) -> None:
    """Run both ways in turn, each in a new process."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"{recipe.name}, {recipe.settings.size} px, batch {options.batch}, {options.device}")
    with tempfile.TemporaryDirectory(prefix="colorpipe-benchmark-") as folder:
        split = make_split(options.source, Path(folder), 4 * options.batch, recipe.settings.size)
        print("round  plain/s  engine/s  ratio")
        ratios = []
        for number in range(options.rounds):
            slow, fast = (rate(way, split) for way in ("plain", "engine"))
            ratios.append(fast / slow)
            print(
                f"{number + 1:5}  {slow:7.2f}  {fast:8.2f}  {ratios[-1]:5.2f}",
                flush=True,
            )
    print(f"median ratio {statistics.median(ratios):.2f}")


def rate(way: str, split: Path) -> float:
    """Return a way's images per second, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--way", way, "--split", str(split)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def make_split(source: Path, folder: Path, count: int, size: int) -> Path:
    """Write ``count`` photos, evenly from ``source``, as a split's training part."""
    paths = sorted(source.rglob("*.jpg"))
    if not paths:
        raise SystemExit(f"There are no JPEG photos in {source}; name a folder with --source.")
    for number in range(count):
        with Image.open(paths[number * len(paths) // count]) as image:
            photo = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        for side, picture in (("x", photo.convert("L")), ("y", photo)):
            target = folder / f"train_{side}" / f"photo-{number:04}.png"
            target.parent.mkdir(exist_ok=True)
            picture.save(target)
    return folder


class PlainPhotos(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A data set as published code writes it: each photo decoded and converted when it is asked."""

    def __init__(self, folder: Path, size: int) -> None:
        self.paths = sorted(folder.iterdir())
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = Image.open(self.paths[index]).convert("RGB")
        image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lab = torch.from_numpy(rgb2lab(np.asarray(image)).astype(np.float32)).permute(2, 0, 1)
        return lab[:1] / 50 - 1, lab[1:] / AB_SCALE


def plain(recipe: Recipe, split: Path, steps: int, device: torch.device) -> float:
    """Train the plain way; return images per second."""
    networks = {name: network.to(device) for name, network in recipe.networks().items()}
    optimizers = recipe.optimizers(networks, fused=False)
    settings = recipe.settings
    photos = PlainPhotos(split / "train_y", settings.size)
    phase = recipe.phases[-1]

    def batches() -> Iterator[Batch]:
        while True:
            for x, y in DataLoader(photos, settings.batch_size, shuffle=True, drop_last=True):
                yield Batch(x.to(device), y.to(device))

    source = batches()

    def train(count: int) -> None:
        for step in range(count):
            for update in recipe.updates(phase, step, next(source), networks):
                optimizer = optimizers[update.optimizer]
                optimizer.zero_grad()
                total = torch.stack(list(update.losses.values())).sum()
                torch.autograd.backward(total)
                optimizer.step()
                total.item()

    train(WARM_UP)
    started = time.perf_counter()
    train(steps)
    return steps * settings.batch_size / (time.perf_counter() - started)


def engine(recipe: Recipe, split: Path, steps: int, device: str) -> float:
    """Train with the engine; return images per second."""
    keep_freed_memory()
    processes = Processes("cuda" if device == "cuda" else "cpu")
    with tempfile.TemporaryDirectory(prefix="colorpipe-benchmark-") as folder:
        trainer = Trainer(
            recipe,
            read_photos(split, "train", Path(folder)),
            validation=None,
            seed=0,
            processes=processes,
            dtype=choose_dtype(processes.device),
            checkpoint=Checkpoint("benchmark", Path(folder)),
        )
        last_phase = recipe.phases[-1].epochs * trainer.sampler.steps_per_epoch
        trainer.step = trainer.steps - last_phase
        trainer.advance(WARM_UP)
        started = time.perf_counter()
        trainer.advance(steps)
        return steps * recipe.settings.batch_size / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
