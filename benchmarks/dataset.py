"""Photos per second: cleaning, resizing and splitting against a plain Pillow script.

The plain way is how the landscape data set of the recipe landscape-rgb was made by hand: open,
convert to RGB, resize to 200x200, save as JPEG, then open each again for its gray copy; one process
and no checks. Ours is the three stages with their default parameters and every check. Both read the
same files from the same folder, take turns, and write to new folders. The start of the interpreter
does not count; for ours, that of the worker processes does.

Ours decodes every photo twice, to clean it and to resize it, and for a large one hardly anything
else takes time. Two cores can be at most 5.6 times as fast as the plain way there.

The folder is in memory if there is room, so that the disk is not what is measured; ``--folder``
names another one. Both ways run once before it counts, and what either writes goes to memory that
was touched just before: the host of a virtual machine takes ten times as long to hand out a page
that was never used, or not for some seconds, and one way writes more than the other.

    python benchmarks/dataset.py --source PHOTOS     2,000 photos and 100 of 12 megapixels
    python benchmarks/dataset.py --source PHOTOS --rounds 1 --photos 500 --large 20
    python benchmarks/dataset.py --source PHOTOS --folder /tmp            on the disk
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from pipeline.files.cores import cores
from pipeline.params import Params
from stages.clean import clean
from stages.resize import resize
from stages.split import split

MEGAPIXELS_12 = (4000, 3000)
CATEGORIES = 10
SIZE = (200, 200)
MEMORY = Path("/dev/shm")
"""A folder in memory, on Linux."""
ROOM = 6_000_000_000
"""Bytes that must be free there: what both ways write in a few rounds stays until the end."""


def main() -> None:
    """Make the photos, let both ways take turns, print a row a round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--large", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work")
    options = parser.parse_args()
    place = options.folder or scratch()
    print(f"Pillow {PIL.__version__}, {cores()} cores, {platform.machine()}, working in {place}")
    with tempfile.TemporaryDirectory(prefix="colorpipe-benchmark-", dir=place) as folder:
        paths = evenly(sorted(options.source.rglob("*.jpg")), options.photos)
        small, large = Path(folder, "small"), Path(folder, "large")
        copy_photos(paths, small, CATEGORIES)
        # Each category must fill its test set and have something to train on.
        enlarge_photos(evenly(paths, options.large), large, max(1, options.large // 25))
        for way in (plain_pillow, three_stages):
            run(way, small, Path(folder, f"first-{way.__name__}"))
        for name, raw in (("small", small), ("12 MP", large)):
            compare(name, raw, options.rounds, Path(folder))


def scratch() -> Path:
    """Return a folder in memory, if there is one with room, else the system's for such files."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        return MEMORY
    return Path(tempfile.gettempdir())


def evenly(paths: list[Path], count: int) -> list[Path]:
    """Return ``count`` paths at even distances."""
    if len(paths) < count:
        raise SystemExit(f"{len(paths)} photos found, but {count} are wanted.")
    return [paths[i * len(paths) // count] for i in range(count)]


def copy_photos(paths: list[Path], folder: Path, categories: int) -> None:
    """Copy photos into folders of categories, one after the other."""
    for path, target in zip(paths, _targets(folder, len(paths), categories), strict=True):
        shutil.copyfile(path, target)


def enlarge_photos(paths: list[Path], folder: Path, categories: int) -> None:
    """Do the same with photos that are brought to 12 megapixels."""
    targets = _targets(folder, len(paths), categories)
    for seed, (path, target) in enumerate(zip(paths, targets, strict=True)):
        enlarge(path, target, seed)


def _targets(folder: Path, count: int, categories: int) -> Iterator[Path]:
    for number in range(count):
        target = folder / f"category{number % categories}" / f"{number:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target


def enlarge(source: Path, target: Path, seed: int) -> None:
    """Write a photo of 12 megapixels with a sensor's noise, as JPEG of a camera's quality."""
    with Image.open(source) as image:
        pixels = np.asarray(image.convert("RGB").resize(MEGAPIXELS_12, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape[:2]).astype(np.int16)
    noisy = np.clip(pixels.astype(np.int16) + noise[..., None], 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(target, "JPEG", quality=90)


def plain_pillow(raw: Path, out: Path) -> None:
    """The plain way."""
    for path in sorted(raw.rglob("*.jpg")):
        color, gray = (out / kind / f"{path.parent.name}-{path.name}" for kind in ("y", "x"))
        for target in (color, gray):
            target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("RGB").resize(SIZE).save(color)
        Image.open(color).convert("L").save(gray)


def three_stages(raw: Path, out: Path) -> None:
    """Our way, with nothing printed."""
    params = Params()
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        clean(raw, out / "clean", out / "clean.csv", params.clean)
        resize(out / "clean", out / "resized", params.resize)
        split(out / "resized", out / "split", params.split)


def compare(name: str, raw: Path, rounds: int, folder: Path) -> None:
    """Run both ways in turn and print photos per second and their ratio."""
    count = sum(1 for _ in raw.rglob("*.jpg"))
    size = sum(path.stat().st_size for path in raw.rglob("*.jpg")) / count
    print(f"\n{name}: {count} photos of {size / 1000:.0f} kB on average")
    print("       photos/s            ratio of     CPU seconds")
    print("round  Pillow  colorpipe  the two      Pillow  colorpipe")
    ratios = []
    for number in range(rounds):
        wall, work = run(plain_pillow, raw, folder / f"{raw.name}-theirs-{number}")
        our_wall, our_work = run(three_stages, raw, folder / f"{raw.name}-ours-{number}")
        ratios.append(wall / our_wall)
        print(
            f"{number + 1:5}  {count / wall:6.1f}  {count / our_wall:9.1f}  {ratios[-1]:8.2f}"
            f"  {work:12.2f}  {our_work:9.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


def run(way: Callable[[Path, Path], None], raw: Path, out: Path) -> tuple[float, float]:
    """Run one way into a new folder; return seconds by the clock and of all processes' CPU time.

    The folder stays until all is done: where many files were deleted, some file systems (ext4
    without a journal) make new ones many times slower for minutes.
    """
    out.mkdir()
    touch_memory(raw)
    started, before = time.perf_counter(), os.times()
    way(raw, out)
    taken, after = time.perf_counter() - started, os.times()
    # What was written goes to the disk now, not in the middle of the other way.
    os.sync()
    return taken, sum(after[:4]) - sum(before[:4])


def touch_memory(raw: Path) -> None:
    """Use as much memory as either way can write of the photos in ``raw``, and give it back."""
    sizes = [path.stat().st_size for path in raw.rglob("*.jpg")]
    np.ones(2 * sum(sizes) + 250_000 * len(sizes), np.uint8)


if __name__ == "__main__":
    main()
