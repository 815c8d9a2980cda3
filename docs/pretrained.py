"""Draw docs/pretrained.jpg: photos that the pretrained weights never saw, as they color them.

The photos are those of scikit-image that are in the public domain (NASA, SpaceX) or under CC0; the
last was taken in black and white. Run it anywhere: `python docs/pretrained.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage import data

from colorpipe import Colorizer
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB

IN_COLOR = ("coffee", "rocket", "astronaut", "chelsea")
IN_GRAY = ("camera",)
SIDE = 320


def main() -> None:
    """Put each photo's gray, colorized and original picture below one another."""
    colorizer = Colorizer.load("pretrained")
    grays: list[RGB] = []
    colorized: list[RGB] = []
    originals: list[RGB] = []
    for name in (*IN_COLOR, *IN_GRAY):
        photo = Image.fromarray(getattr(data, name)())
        square = ImageOps.fit(photo.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
        gray = square.convert("L")
        grays.append(np.asarray(gray.convert("RGB")))
        colorized.append(np.asarray(colorizer(gray)))
        known = name in IN_COLOR
        originals.append(np.asarray(square) if known else np.full_like(grays[-1], 255))
    sheet = contact_sheet(
        [grays, colorized, originals], ("gray", "colorized", "ground truth"), cell=SIDE // 2
    )
    sheet.convert("RGB").save(Path(__file__).with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main()
