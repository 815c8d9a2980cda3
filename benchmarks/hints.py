"""What hints bring: PSNR and CIEDE2000 of held-out photos by how many places have a known color.

    python benchmarks/hints.py --model models/colorpipe.safetensors --photos data/split/test_y

Three ways: the network's hint channels alone (``network``), what colorpipe does (``colorpipe``: the
channels, and what is left is spread to the edges), and spreading without the channels (``spread``),
as for networks that have none.

The protocol is iColoriT's (Yun et al. 2023, section 4.1): photos at 224 x 224, places drawn evenly
from a grid of 2 x 2 px, each with the mean of the ground truth there. Every number of places
contains those of the smaller numbers. Means are over photos, by category and in all. `--csv` keeps
every photo's figures; hints_plot.py draws them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.split_folder import category_of
from pipeline.evaluation.metrics import mean_ciede2000, psnr
from pipeline.files.csv_tables import write_table
from pipeline.imaging.color import Float, chroma_over, luma, rgb_to_lab
from pipeline.imaging.decode import RGB, Gray, open_photo, read_bytes
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.models.torch_predictor import TorchPredictor

SIZE = 224
WAYS = ("network", "colorpipe", "spread")
Places: TypeAlias = NDArray[np.intp]
Cells: TypeAlias = tuple[Places, Places]
NUMBERS = (0, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Row:
    """What one photo came to with a number of hints."""

    way: str
    photo: str
    hints: int
    psnr: float
    ciede2000: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="weights that take hints")
    parser.add_argument("--photos", type=Path, required=True, help="ground truth: a split's test_y")
    parser.add_argument("--each", type=int, default=100, help="photos of a category, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the places")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="ways to use hints")
    parser.add_argument("--csv", type=Path, help="a file for the figures of every photo")
    options = parser.parse_args()
    predictor = TorchPredictor.load(options.model, "cpu")
    by_category: dict[str, list[Path]] = {}
    for path in sorted(options.photos.glob("*.png")):
        by_category.setdefault(category_of(path.name), []).append(path)
    rows: list[Row] = []
    for way in options.ways:
        print(f"\n{way}")
        rows += measure(predictor, way, by_category, options.each, options.seed)
    if options.csv is not None:
        write_table(options.csv, rows, Row)


def measure(
    predictor: TorchPredictor,
    way: str,
    by_category: Mapping[str, Sequence[Path]],
    each: int,
    seed: int,
) -> list[Row]:
    """Measure one way, print its table and return its rows."""
    print(f"{'':12}photos  " + "".join(f"{number:>15}" for number in NUMBERS))
    rows: list[Row] = []
    everything = []
    for category, paths in by_category.items():
        scores = []
        for place, path in enumerate(paths[:each]):
            own = score(predictor, way, read(path), [seed, place])
            scores.append(own)
            rows += [
                Row(way, path.name, number, *figures)
                for number, figures in zip(NUMBERS, own, strict=True)
            ]
        show(category, np.array(scores))
        everything += scores
    show("all", np.array(everything))
    return rows


def show(name: str, scores: NDArray[np.float64]) -> None:
    """Print a row: mean PSNR / mean CIEDE2000 for each number of hints."""
    cells = "".join(f"{psnr:9.2f}/{error:5.2f}" for psnr, error in scores.mean(axis=0))
    print(f"{name:12}{len(scores):6}  {cells}", flush=True)


def read(path: Path) -> RGB:
    """Read a photo at the protocol's size."""
    photo = open_photo(read_bytes(path)).pixels
    return np.asarray(cv2.resize(photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def score(
    predictor: TorchPredictor, way: str, truth: RGB, seed: Sequence[int]
) -> list[tuple[float, float]]:
    """Return PSNR and CIEDE2000 of one photo for each of :data:`NUMBERS`."""
    gray = luma(truth)
    lab = rgb_to_lab(truth)
    half = (SIZE // 2, SIZE // 2)
    known = np.asarray(cv2.resize(lab[..., 1:], half, interpolation=cv2.INTER_AREA), np.float32)
    places = np.random.default_rng(seed).permutation((SIZE // 2) ** 2)
    cells = [np.divmod(places[:number], SIZE // 2) for number in NUMBERS]
    if way == "network":
        made = by_network(predictor, gray, known, cells)
    else:
        colors = np.asarray(cv2.resize(truth, half, interpolation=cv2.INTER_AREA), np.uint8)
        network = predictor if way == "colorpipe" else WithoutChannels(predictor)
        colorizer = Colorizer(network, size=SIZE)
        made = [
            np.asarray(colorizer(gray, hints=hints_at(colors, *cell)), np.uint8) for cell in cells
        ]
    return [(psnr(each, truth), mean_ciede2000(rgb_to_lab(each), lab)) for each in made]


def by_network(
    predictor: TorchPredictor, gray: Gray, known: Float, cells: Sequence[Cells]
) -> list[RGB]:
    """Color by the network's channels alone."""
    hints = np.zeros((len(cells), SIZE // 2, SIZE // 2, 3), np.float32)
    for each, (rows, columns) in zip(hints, cells, strict=True):
        each[rows, columns, :2] = known[rows, columns]
        each[rows, columns, 2] = 1.0
    _, ab = predictor.predict_by_hints(np.repeat(gray[None], len(cells), axis=0), [hints])
    return [chroma_over(gray, colors) for colors in ab]


def hints_at(colors: RGB, rows: Places, columns: Places) -> list[Hint]:
    """Return a hint for each cell of 2 x 2 px."""
    return [
        Hint(float(2 * column), float(2 * row), f"#{bytes(colors[row, column]).hex()}")
        for row, column in zip(rows, columns, strict=True)
    ]


class WithoutChannels:
    """A network as if it took no hints."""

    def __init__(self, predictor: TorchPredictor) -> None:
        self._predictor = predictor
        self.size, self.multiple = predictor.size, predictor.multiple
        self.recipe, self.batch = predictor.recipe, predictor.batch

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        """Predict without hints."""
        return self._predictor.predict(grays)

    def in_threads(self, number: int) -> AbstractContextManager[None]:
        """Do as the network does."""
        return self._predictor.in_threads(number)


if __name__ == "__main__":
    main()
