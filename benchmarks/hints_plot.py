"""Draw what each further known color brings, from the figures that `hints.py --csv` wrote.

python benchmarks/hints_plot.py hints.csv docs/hints.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from hints import Row
from numpy.typing import NDArray

from pipeline.files.csv_tables import read_table

LINES = {
    "colorpipe": "channels and spreading (colorpipe)",
    "network": "channels alone",
    "spread": "spreading alone",
}
MEASURES = {"psnr": "PSNR, dB", "ciede2000": "CIEDE2000 (less is better)"}


def main() -> None:
    """Draw the means over photos, with the numbers of hints at even distances."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="what `hints.py --csv` wrote")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    options = parser.parse_args()
    rows = read_table(options.table, Row)
    numbers = sorted({row.hints for row in rows})
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for way, name in LINES.items():
            axis.plot(means(rows, way, measure, numbers), marker="o", markersize=4, label=name)
        axis.set_xticks(range(len(numbers)), [str(number) for number in numbers])
        axis.set(xlabel="places with a known color", title=title)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(options.picture, dpi=110, metadata={"Software": None})


def means(rows: list[Row], way: str, measure: str, numbers: list[int]) -> NDArray[np.float64]:
    """Return the means over photos for each of ``numbers``."""
    values = np.array(
        [
            [getattr(row, measure) for row in rows if row.way == way and row.hints == number]
            for number in numbers
        ],
        np.float64,
    )
    return np.asarray(values.mean(axis=1))


if __name__ == "__main__":
    main()
