"""How steady, true and colorful films come out: their gray versions colored, beside the films.

    python benchmarks/video_steadiness.py FILM ... [--seconds 4] [--steady 0.7] [--sheets OUT]

Each film is colored from its gray version twice, each frame by itself (steady 0) and steadily, and
compared with itself at the network's size of the film, at most 480 pixels wide:

- CDC (color distribution consistency, of TCVC): the Jensen-Shannon divergence between histograms of
  frames 1, 2 and 4 apart, in each of B, G and R; the film's own is what a result should come near.
- PSNR and CIEDE2000 of the frames against the film's.
- Colorfulness (Hasler and Süsstrunk 2003).
- Flicker: how much a* and b* change on average from a frame to the next along the film's own
  motion, where that is trusted.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.evaluation.metrics import colorfulness, mean_ciede2000, psnr
from pipeline.imaging.color import RGB, Float, luma, rgb_to_lab
from pipeline.imaging.gray_photo import Tint, of_array, render
from pipeline.inference.colorizer import Colorizer
from pipeline.video.motion import MotionFinder
from pipeline.video.settings import STEADY
from pipeline.video.steadiness import SteadyColors

WIDEST = 480
"""Pixels that a frame is at most wide when it is compared."""


@dataclass(frozen=True)
class Scores:
    """What is measured of one film."""

    cdc: float
    psnr: float
    ciede2000: float
    colorfulness: float
    flicker: float
    predictions: float
    """Share of the frames that the network saw."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", nargs="+", type=Path, help="films in color")
    parser.add_argument("--start", type=float, default=0.0, help="seconds to leave out")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--steady", type=float, default=STEADY)
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("pretrained"),
        help="weights, as `colorpipe colorize` takes them; the default is the pretrained",
    )
    parser.add_argument("--sheets", type=Path, help="a folder for a sheet of frames of each film")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    colorizer = Colorizer.load(options.model)
    print(f"{'':34}{'CDC':>9}{'PSNR':>7}{'dE00':>7}{'color':>7}{'flicker':>9}{'network':>9}")
    for path in options.films:
        truth = frames_of(path, options.start, options.seconds)
        results = {
            "ground truth": (truth, 0.0),
            "frame by frame": colored(truth, colorizer, 0),
            f"steady {options.steady:g}": colored(truth, colorizer, options.steady),
        }
        for name, (frames, predictions) in results.items():
            row = scores(frames, truth, predictions)
            print(
                f"{path.stem[:16]:18}{name:16}{row.cdc:9.6f}{row.psnr:7.2f}{row.ciede2000:7.2f}"
                f"{row.colorfulness:7.2f}{row.flicker:9.3f}{row.predictions:9.2f}",
                flush=True,
            )
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            write_sheet(options.sheets / f"{path.stem}.png", [each for each, _ in results.values()])


def frames_of(path: Path, start: float, seconds: float) -> list[RGB]:
    """Read a part of a film as sRGB (h, w, 3), at most :data:`WIDEST` wide."""
    frames = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            if frame.time < start:
                continue
            if frame.time >= start + seconds:
                break
            width = min(frame.width, WIDEST)
            height = round(frame.height * width / frame.width)
            small = frame.reformat(width, height, format="rgb24", interpolation="AREA")
            frames.append(np.asarray(small.to_ndarray(), np.uint8))
    return frames


def colored(truth: Sequence[RGB], colorizer: Colorizer, steady: float) -> tuple[list[RGB], float]:
    """Color the gray versions of frames; return them, and the share that the network saw."""
    method = colorizer.upsampling
    steadily = SteadyColors(lambda gray: colorizer.predict([gray])[0], steady)
    photos = [of_array(luma(frame)) for frame in truth]
    grays = [photo.for_network(colorizer.working_shape(photo.upright_shape)) for photo in photos]
    colors = [known for gray in grays for known in steadily.add(gray)] + steadily.finish()
    results = [
        np.asarray(render(photo, Tint(gray, differences, method)), np.uint8)
        for photo, gray, differences in zip(photos, grays, colors, strict=True)
    ]
    return results, steadily.predictions / len(truth)


def scores(frames: Sequence[RGB], truth: Sequence[RGB], predictions: float) -> Scores:
    """Measure ``frames`` against ``truth``."""
    labs = [rgb_to_lab(frame) for frame in frames]
    own = [rgb_to_lab(frame) for frame in truth]
    return Scores(
        cdc(frames),
        statistics.fmean(psnr(*pair) for pair in zip(frames, truth, strict=True)),
        statistics.fmean(mean_ciede2000(*pair) for pair in zip(labs, own, strict=True)),
        statistics.fmean(colorfulness(frame) for frame in frames),
        flicker(labs, truth),
        predictions,
    )


def cdc(frames: Sequence[RGB]) -> float:
    """Return the color distribution consistency (Zhang et al., TCVC): natural logarithm."""
    histograms = [
        [np.bincount(frame[..., c].ravel(), minlength=256) / frame[..., c].size for c in (2, 1, 0)]
        for frame in frames
    ]
    return statistics.fmean(
        statistics.fmean(
            divergence(first[channel], second[channel])
            for first, second in zip(histograms, histograms[apart:], strict=False)
        )
        for channel in range(3)
        for apart in (1, 2, 4)
    )


def divergence(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the Jensen-Shannon divergence of two histograms of sum 1."""
    mean = (first + second) / 2

    def kullback(one: NDArray[np.float64]) -> float:
        there = one > 0
        return float((one[there] * np.log(one[there] / mean[there])).sum())

    return (kullback(first) + kullback(second)) / 2


def flicker(labs: Sequence[Float], truth: Sequence[RGB]) -> float:
    """Return the mean change of a* and b* along the motion of ``truth``, cuts left out."""
    finder = MotionFinder()
    changes = []
    grays = [luma(frame) for frame in truth]
    for (before, now), (old, new) in zip(
        itertools.pairwise(grays), itertools.pairwise(labs), strict=True
    ):
        motion, _ = finder.both_ways(before, now)
        if motion.is_cut:
            continue
        change = np.linalg.norm(new[..., 1:] - motion.carry(old[..., 1:]), axis=-1)
        changes.append(float((change * motion.trust).sum() / motion.trust.sum()))
    return statistics.fmean(changes)


def write_sheet(path: Path, films: Sequence[Sequence[RGB]], count: int = 10) -> None:
    """Write frames of films side by side, a row for each film."""
    rows = []
    for frames in films:
        places = np.linspace(0, len(frames) - 1, count).astype(int)
        rows.append(np.hstack([frames[place] for place in places]))
    Image.fromarray(np.vstack(rows)).save(path)


if __name__ == "__main__":
    main()
