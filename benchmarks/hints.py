"""What hints bring: PSNR and CIEDE2000 of held-out photos by how many places have a known color.

    python benchmarks/hints.py --model models/colorpipe.safetensors --photos data/split/test_y

The protocol is iColoriT's (Yun et al. 2023, section 4.1): photos at 224 x 224, places drawn evenly
from a grid of 2 x 2 px, each with the mean of the ground truth there. Every number of places
contains those of the smaller numbers. Means are over photos, by category and in all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.split_folder import category_of
from pipeline.evaluation.metrics import mean_ciede2000, psnr
from pipeline.imaging.color import Float, chroma_over, luma, rgb_to_lab
from pipeline.imaging.decode import RGB, open_photo, read_bytes
from pipeline.models.torch_predictor import TorchPredictor

SIZE = 224
NUMBERS = (0, 1, 2, 5, 10, 20, 50, 100)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="weights that take hints")
    parser.add_argument("--photos", type=Path, required=True, help="ground truth: a split's test_y")
    parser.add_argument("--each", type=int, default=100, help="photos of a category, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the places")
    options = parser.parse_args()
    predictor = TorchPredictor.load(options.model, "cpu")
    by_category: dict[str, list[Path]] = {}
    for path in sorted(options.photos.glob("*.png")):
        by_category.setdefault(category_of(path.name), []).append(path)
    print(f"{'':12}photos  " + "".join(f"{number:>15}" for number in NUMBERS))
    rows = []
    for category, paths in by_category.items():
        seeds = [[options.seed, place] for place in range(len(paths[: options.each]))]
        scores = np.array(
            [
                score(predictor, read(path), seed)
                for path, seed in zip(paths[: options.each], seeds, strict=True)
            ]
        )
        rows.append(scores)
        show(category, scores)
    show("all", np.concatenate(rows))


def show(name: str, scores: NDArray[np.float64]) -> None:
    """Print a row: mean PSNR / mean CIEDE2000 for each number of hints."""
    cells = "".join(f"{psnr:9.2f}/{error:5.2f}" for psnr, error in scores.mean(axis=0))
    print(f"{name:12}{len(scores):6}  {cells}", flush=True)


def read(path: Path) -> RGB:
    """Read a photo at the protocol's size."""
    photo = open_photo(read_bytes(path)).pixels
    return np.asarray(cv2.resize(photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def score(predictor: TorchPredictor, truth: RGB, seed: Sequence[int]) -> list[tuple[float, float]]:
    """Return PSNR and CIEDE2000 of one photo for each of :data:`NUMBERS`."""
    gray = luma(truth)
    lab = rgb_to_lab(truth)
    known = cv2.resize(lab[..., 1:], (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA)
    places = np.random.default_rng(seed).permutation((SIZE // 2) ** 2)
    hints = np.zeros((len(NUMBERS), SIZE // 2, SIZE // 2, 3), np.float32)
    for each, number in zip(hints, NUMBERS, strict=True):
        rows, columns = np.divmod(places[:number], SIZE // 2)
        each[rows, columns, :2] = known[rows, columns]
        each[rows, columns, 2] = 1.0
    ab: Float = predictor.predict(np.repeat(gray[None], len(NUMBERS), axis=0), hints)
    made = [chroma_over(gray, colors) for colors in ab]
    return [(psnr(each, truth), mean_ciede2000(rgb_to_lab(each), lab)) for each in made]


if __name__ == "__main__":
    main()
