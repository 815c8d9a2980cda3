"""Draw docs/results.jpg, the picture in the README, after `make run`.

It shows only photos that are in the public domain (NASA, SpaceX) or under CC0. Run it in the
project's folder: `python docs/results.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.dataset.manifest import MANIFEST, RawPhoto
from pipeline.files.csv_tables import read_table
from pipeline.imaging.contact_sheet import contact_sheet

SUBJECTS = ("rocket", "chelsea", "astronaut", "hubble", "coffee")
PER_SUBJECT = 2
TRIPLES_IN_ROW = 2


def main() -> None:
    """Put the first test photos of each subject beside their colorized versions."""
    test = {path.stem: path for path in Path("data/split/test_x").glob("*.png")}
    triples = []
    for subject in SUBJECTS:
        raw = [
            row for row in read_table(Path("data/raw") / MANIFEST, RawPhoto) if subject in row.url
        ]
        names = sorted(f"{row.category}-{Path(row.name).stem}" for row in raw)
        for name in [name for name in names if name in test][:PER_SUBJECT]:
            gray, original = test[name], Path("data/split/test_y") / f"{name}.png"
            colorized = Path("data/colorized") / f"{name}.png"
            triples.append(
                [
                    np.asarray(Image.open(path).convert("RGB"))
                    for path in (gray, colorized, original)
                ]
            )
    rows = [
        [picture for triple in triples[start : start + TRIPLES_IN_ROW] for picture in triple]
        for start in range(0, len(triples), TRIPLES_IN_ROW)
    ]
    sheet = contact_sheet(
        rows, (), ("gray", "colorized", "ground truth") * TRIPLES_IN_ROW, cell=160
    )
    sheet.convert("RGB").save("docs/results.jpg", quality=88)


if __name__ == "__main__":
    main()
