"""Photos per second: the local engine against Ray of one and of two workers, small and large.

Coloring and the chain from clean to split each take turns on the same photos: the local engine with
one core, Ray with one, the local engine with two, Ray with two. Workers have started and hold their
network before the clock runs, for both: what a start takes does not grow with the photos. Ratios
are of the time a photo takes, Ray's to the local engine's on as many cores.

    python benchmarks/scale.py --source PHOTOS       400 photos of 400 px and 16 of 12 megapixels to
                                                     color, five times as many through the chain
    python benchmarks/scale.py --source PHOTOS --rounds 1 --photos 100 --large 6

Run it on a machine that does nothing else, with at least two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from dataset import copy_photos, enlarge_photos, evenly, scratch

from pipeline.engines.base import Engine
from pipeline.engines.choice import open_engine
from pipeline.files.cores import cores
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.isolated import IsolatedColorizer
from pipeline.inference.jobs import find_jobs
from pipeline.inference.streaming import Settings
from pipeline.models.pretrained import pretrained_weights
from pipeline.params import Params, SplitParams
from stages.clean import clean
from stages.resize import resize
from stages.split import split

WORKERS = (1, 2)
ENGINES = ("local", "ray")
CHAINED = 5
"""How many times as many photos the chain gets. It is that much faster or more, and of a second of
work Ray's calls, which do not grow with the photos, would be a third."""
START = 10.0
"""Seconds in which all workers have started, before any clock runs."""


def main() -> None:
    """Make the photos, let the engines take turns, print photos a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--large", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work")
    options = parser.parse_args()
    if cores() < max(WORKERS):
        raise SystemExit("This needs two cores.")
    with tempfile.TemporaryDirectory(
        prefix="colorpipe-scale-", dir=options.folder or scratch()
    ) as name:
        paths = sorted(options.source.rglob("*.jpg"))
        for title, work, times in (("colorize", colorized, 1), ("chain", chained, CHAINED)):
            small, large = (Path(name, title, size) for size in ("small", "large"))
            copy_photos(evenly(paths, times * options.photos), small, categories=2)
            enlarge_photos(evenly(paths, times * options.large), large, categories=1)
            for size, raw in (("400 px", small), ("12 MP", large)):
                compare(f"{title}, {size}", work, raw, options.rounds, Path(name))


class Work(Protocol):
    """What is timed."""

    def __call__(self, engine: Engine, raw: Path, out: Path) -> float:
        """Do it; return the seconds that it took."""


def colorized(engine: Engine, raw: Path, out: Path) -> float:
    """Color all photos; return the seconds that it took, without the start of the workers."""
    load = functools.partial(Colorizer.load, pretrained_weights(), "cpu")
    jobs = list(find_jobs(raw, out, None))
    with IsolatedColorizer(load, engine, "cpu") as colorizer:
        until = time.monotonic() + START
        while time.monotonic() < until:
            list(colorizer.colorize_files(jobs[:4], Settings("overwrite")))
        started = time.perf_counter()
        for _ in colorizer.colorize_files(jobs, Settings("overwrite")):
            pass
        return time.perf_counter() - started


def chained(engine: Engine, raw: Path, out: Path) -> float:
    """Clean, resize and split all photos; return the seconds that it took."""
    params = Params(split=SplitParams(test_per_category=2))
    until = time.monotonic() + START
    while time.monotonic() < until:
        list(engine.map_in_order(abs, range(1000)))
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        clean(raw, out / "clean", out / "clean.csv", params.clean, engine=engine)
        resize(out / "clean", out / "resized", params.resize, engine=engine)
        split(out / "resized", out / "split", params.split, engine=engine)
    return time.perf_counter() - started


def compare(title: str, work: Work, raw: Path, rounds: int, folder: Path) -> None:
    """Let the engines take turns and print a row a round."""
    count = sum(1 for _ in raw.rglob("*.jpg"))
    print(f"\n{title}: {count} photos")
    print("round  " + "  ".join(f"{name} {n}".rjust(7) for n in WORKERS for name in ENGINES))
    ratios: dict[int, list[float]] = {n: [] for n in WORKERS}
    for number in range(rounds):
        speeds = []
        for workers in WORKERS:
            taken = {}
            for name in ENGINES:
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    taken[name] = apart(work, name, workers, raw, Path(out))
                speeds.append(count / taken[name])
            ratios[workers].append(taken["ray"] / taken["local"])
        print(f"{number + 1:5}  " + "  ".join(f"{speed:7.1f}" for speed in speeds), flush=True)
    for workers, each in ratios.items():
        print(
            f"Ray takes {statistics.median(each):.2f} of the local engine's time with {workers}"
            f" (median of {', '.join(f'{ratio:.2f}' for ratio in each)})"
        )


def apart(work: Work, name: str, workers: int, raw: Path, out: Path) -> float:
    """Do ``work`` in a process of its own that has ``workers`` cores; return its seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    what = functools.partial(work, raw=raw, out=out)
    process = context.Process(target=_do, args=(theirs, what, name, workers))
    process.start()
    taken = float(ours.recv())
    process.join()
    return taken


def _do(pipe: Connection, work: Callable[[Engine], float], name: str, workers: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    with open_engine(name) as engine:
        pipe.send(work(engine))


if __name__ == "__main__":
    main()
