"""What 50,000 photos cost: time and memory of each stage, and what DVC costs on top.

Each stage runs in a process of its own on a small and a large collection; both figures of a photo
should be about the same. The photos are crops of real ones, different enough to be no duplicates.
DVC then takes in what the split wrote, as the folder it is and as one uncompressed archive.

    python benchmarks/many_files.py --source PHOTOS           5,000 and 50,000 photos
    python benchmarks/many_files.py --source PHOTOS --files 2000 10000 --size 64 --no-dvc

50,000 photos of 200 pixels take about 25 GB of disk while DVC has its turns; of 64 pixels, 4 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

CATEGORIES = 10
STAGES = ("clean", "resize", "split")


def main() -> None:
    """Run the stages on collections of each size, then DVC on what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="a folder of photos")
    parser.add_argument("--files", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--size", type=int, default=200, help="side of the resized photos")
    parser.add_argument("--folder", type=Path, help="where to work; else the system's choice")
    parser.add_argument("--no-dvc", action="store_true")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        run_stage(options.stage, options.folder, options.size)
        return
    if options.source is None:
        parser.error("name a folder of photos: --source PHOTOS")
    sources = sorted(options.source.rglob("*.jpg"))
    print("                ms a photo   ms a photo    MiB at most    MiB at most")
    print(" files  stage   by clock     of CPU        main process   one worker")
    for count in options.files:
        with tempfile.TemporaryDirectory(prefix="colorpipe-", dir=options.folder) as name:
            folder = Path(name)
            make_photos(sources, count, folder / "raw")
            for stage in STAGES:
                figures = measured(stage, folder, options.size)
                each, cpu = (1000 * figures[key] / count for key in ("seconds", "cpu"))
                print(
                    f"{count:6}  {stage:6}  {each:8.3f}  {cpu:11.3f}"
                    f"  {figures['main']:14.0f}  {figures['worker']:13.0f}",
                    flush=True,
                )
            if not options.no_dvc:
                for kind in ("raw", "clean", "resized"):
                    shutil.rmtree(folder / kind)
                compare_dvc(folder)


def make_photos(sources: list[Path], count: int, raw: Path) -> None:
    """Write ``count`` photos: each source whole, then mirrored crops of its four corners."""
    if count > 5 * len(sources):
        raise SystemExit(f"{len(sources)} photos were found; {count} cannot be made of them.")
    for number in range(count):
        target = raw / f"category{number % CATEGORIES}" / f"{number:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        variation, place = divmod(number, len(sources))
        if variation == 0:
            shutil.copyfile(sources[place], target)
            continue
        with Image.open(sources[place]) as image:
            width, height = (2 * side // 3 for side in image.size)
            left = (image.width - width) * (variation % 2)
            top = (image.height - height) * (variation // 3)
            crop = image.convert("RGB").crop((left, top, left + width, top + height))
            crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target, "JPEG", quality=90)


def measured(stage: str, folder: Path, size: int) -> dict[str, float]:
    """Run one stage in a new process; return its seconds, CPU seconds and peak memory."""
    command = [sys.executable, __file__, "--stage", stage]
    command += ["--folder", os.fspath(folder), "--size", str(size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_stage(stage: str, folder: Path, size: int) -> None:
    """Run one stage and print its figures as JSON, in the last line."""
    # Not at the top: who only waits for this process needs none of it, and a new process starts
    # with the memory of its parent in its books.
    from pipeline.params import Params  # noqa: PLC0415
    from stages.clean import clean  # noqa: PLC0415
    from stages.resize import resize  # noqa: PLC0415
    from stages.split import split  # noqa: PLC0415

    params = Params.model_validate({"resize": {"size": size}})
    work: dict[str, Callable[[], object]] = {
        "clean": lambda: clean(
            folder / "raw", folder / "clean", folder / "clean.csv", params.clean
        ),
        "resize": lambda: resize(folder / "clean", folder / "resized", params.resize),
        "split": lambda: split(folder / "resized", folder / "split", params.split),
    }
    started, before = time.perf_counter(), os.times()
    work[stage]()
    seconds, after = time.perf_counter() - started, os.times()
    own, workers = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = sum(after[:4]) - sum(before[:4])
    print(json.dumps({"seconds": seconds, "cpu": cpu, "main": own, "worker": workers}))


def compare_dvc(folder: Path) -> None:
    """Print DVC's seconds for the split as a folder and as one file of the same pixels."""
    data, archive = folder / "split", folder / "split.tar"
    files = sum(len(names) for _, _, names in os.walk(data))
    with tarfile.open(archive, "w") as stream:
        stream.add(data, "split")
    print(f"DVC, seconds for {files} files and for one file of the same pixels")
    for target in (data, archive):
        work = folder / f"dvc-{target.name}"
        work.mkdir()
        target.rename(work / target.name)
        dvc(work, "init", "--quiet", "--no-scm")
        dvc(work, "config", "core.analytics", "false")
        dvc(work, "remote", "add", "--default", "far", os.fspath(work / "far"))
        row = {"add": dvc(work, "add", target.name)}
        row["status"] = dvc(work, "status")
        row["commit"] = dvc(work, "commit", "--force")
        row["push"] = dvc(work, "push")
        remove(work / target.name)
        row["checkout"] = dvc(work, "checkout")
        print(f"{target.name:10}", *(f"{name} {took:.1f}" for name, took in row.items()), sep="  ")
        remove(work)


def dvc(work: Path, *words: str) -> float:
    """Run one command of DVC and return the seconds that it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "dvc", *words]
    subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    main()
