"""Draw docs/shipped.jpg: what the weights that ship make of photos they have never seen.

Of scikit-image's photos, those in the public domain: NASA's, SpaceX's and those under CC0; the last
was taken without color. Run it anywhere: `python docs/shipped.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage import data

from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB
from pipeline.inference.colorizer import Colorizer
from pipeline.models.pretrained import shipped_weights

COLOR = ("coffee", "rocket", "astronaut", "chelsea")
WITHOUT = ("camera",)
SIDE = 320


def main() -> None:
    """Put gray, colorized and true pictures of each photo above one another."""
    colorizer = Colorizer.load(shipped_weights())
    grays: list[RGB] = []
    made: list[RGB] = []
    truths: list[RGB] = []
    for name in (*COLOR, *WITHOUT):
        photo = Image.fromarray(getattr(data, name)())
        square = ImageOps.fit(photo.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
        gray = square.convert("L")
        grays.append(np.asarray(gray.convert("RGB")))
        made.append(np.asarray(colorizer(gray)))
        truths.append(np.asarray(square) if name in COLOR else np.full_like(grays[-1], 255))
    sheet = contact_sheet([grays, made, truths], ("gray", "colorized", "truth"), cell=SIDE // 2)
    sheet.convert("RGB").save(Path(__file__).with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main()
