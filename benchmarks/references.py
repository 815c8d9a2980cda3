"""What a reference photo brings: CIEDE2000 and PSNR of held-out photos, with it less without it.

    python benchmarks/references.py --photos data/split/test_y --each 10

Three references: another part of the same photo, mirrored (``same``); the photo of its category
whose features are most like (``alike``); and any photo (``any``). Differences have 95 % intervals
over photos, paired; below zero is better in CIEDE2000.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.dataset.split_folder import category_of
from pipeline.evaluation.bootstrap import Bootstrap, mean
from pipeline.evaluation.metrics import mean_ciede2000, psnr
from pipeline.imaging.color import luma, rgb_to_lab
from pipeline.imaging.decode import RGB, open_photo, read_bytes
from pipeline.inference.colorizer import Colorizer

PART = 0.8
"""Of a photo's side: what is colored, and what its other part has of it."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="weights that take hints; the default is the pretrained")
    parser.add_argument("--photos", type=Path, required=True, help="ground truth: a split's test_y")
    parser.add_argument("--each", type=int, default=10, help="photos of a category, at most")
    parser.add_argument("--pool", type=int, default=25, help="photos to find a like one among")
    options = parser.parse_args()
    colorizer = Colorizer.load(options.model or "pretrained", "cpu")
    by_category: dict[str, list[Path]] = {}
    for path in sorted(options.photos.glob("*.png")):
        by_category.setdefault(category_of(path.name), []).append(path)
    everything = [path for paths in by_category.values() for path in paths]
    random = np.random.default_rng(0)
    plain: list[tuple[float, float]] = []
    changes: dict[str, list[NDArray[np.float64]]] = {"same": [], "alike": [], "any": []}
    for paths in by_category.values():
        pool = paths[: options.pool]
        likeness = likenesses(colorizer, pool)
        for number, path in enumerate(pool[: options.each]):
            photo = read(path)
            side = round(PART * min(photo.shape[:2]))
            truth = np.ascontiguousarray(photo[:side, :side])
            others = {
                "same": np.ascontiguousarray(photo[-side:, -side:][:, ::-1]),
                "alike": read(pool[int(likeness[number].argmax())]),
                "any": read(everything[random.integers(len(everything))]),
            }
            before = score(colorizer, truth, None)
            plain.append(before)
            for name, other in others.items():
                changes[name].append(np.subtract(score(colorizer, truth, other), before))
    error, signal = np.mean(plain, axis=0)
    print(f"{len(plain)} photos; without: CIEDE2000 {error:.2f}, PSNR {signal:.2f}")
    for name, rows in changes.items():
        table = np.array(rows)
        found = Bootstrap({"ciede2000": table[:, 0].tolist(), "psnr": table[:, 1].tolist()})
        touched = np.count_nonzero(table.any(axis=1))
        worse = np.count_nonzero(table[:, 0] > 0.3)
        cells = []
        for column in ("ciede2000", "psnr"):
            estimate = found.estimate(mean(column))
            assert estimate is not None
            cells.append(f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]")
        print(f"{name:6}{'  '.join(cells)}  changed: {touched}, worse by 0.3: {worse}")


def read(path: Path) -> RGB:
    """Read a photo."""
    return open_photo(read_bytes(path)).pixels


def likenesses(colorizer: Colorizer, paths: list[Path]) -> NDArray[np.float64]:
    """Return how alike photos are (n, n) by the mean of their features, each other than itself."""
    means = np.array([colorizer.reference(read(path)).features.mean(axis=0) for path in paths])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    result = np.asarray(means @ means.T, np.float64)
    np.fill_diagonal(result, -np.inf)
    return result


def score(colorizer: Colorizer, truth: RGB, reference: RGB | None) -> tuple[float, float]:
    """Return CIEDE2000 and PSNR of a photo colored by a reference."""
    colored = np.asarray(colorizer(luma(truth), reference=reference), np.uint8)
    return mean_ciede2000(rgb_to_lab(colored), rgb_to_lab(truth)), psnr(colored, truth)


if __name__ == "__main__":
    main()
