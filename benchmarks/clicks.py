"""What a click does: the color at its place, and what changes beyond the edges around it.

    python benchmarks/clicks.py --photos PHOTOS

Photos, places and colors are drawn at random, photos from every folder alike. Half of the colors
are of those that the page offers for the place, half are any of sRGB. A color asks for a* and b*;
the tone is the place's. ``allowed`` are the clicks for which sRGB has a color of the place's tone
within 1 CIEDE2000 of what is asked for; for the others the excess over the nearest there is counts,
and whether the page says so.

For the edges two even grays meet in a straight line or around a disc, and a place before the line
or in the disc is clicked. The table has the change beyond the edge, as a share of that before it,
for steps of so many levels that are spread over so many pixels.

Two ways: the network's hint channels and spreading (``channels``), and spreading alone (``spread``)
as for networks without them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from hints import WithoutChannels
from numpy.typing import NDArray

from pipeline.app.workshop import Desk, how_near
from pipeline.evaluation.metrics import ciede2000
from pipeline.files.csv_tables import write_table
from pipeline.imaging.color import Float, luma, rgb_to_lab
from pipeline.imaging.decode import Gray, open_photo, read_bytes
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.inference.palette import likely_colors
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.torch_predictor import TorchPredictor

LIMIT = 3.0
"""CIEDE2000 that a place may be off, at most."""
ALLOWED = 1.0
STEPS = (100, 60, 40, 30, 25, 20, 15, 10)
WIDTHS = (1, 2, 4)
_ROWS, _COLUMNS = np.mgrid[-128:128, -192:192]
EDGES = {"straight": _COLUMNS.astype(np.float64), "round": np.hypot(_ROWS, _COLUMNS) - 80}
"""By shape: how many pixels beyond the edge each pixel is."""
AWAY = 20
"""Pixels from an edge on which a change counts."""


@dataclass(frozen=True)
class Click:
    """What became of a click."""

    way: str
    source: str
    """``offered`` by the page, or ``any``."""
    photo: str
    x: int
    y: int
    tone: int
    color: str
    error: float
    """CIEDE2000 from the color that was asked for, at the lightness that the place then has."""
    least: float
    """The same of the nearest color in sRGB that has the place's tone."""
    said: bool
    """Whether the page says that the color is not possible."""


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=pretrained_weights(), help="takes hints")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of color photos")
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--enlarge", type=float, default=1, help="photos by this factor")
    parser.add_argument("--grain", type=float, default=0, help="standard deviation in levels")
    parser.add_argument("--csv", type=Path, help="a file for every click")
    options = parser.parse_args()
    folders = by_folder(options.photos)
    colorizers = ways(TorchPredictor.load(options.model, "cpu"))
    draw = np.random.default_rng(options.seed)
    clicks: list[Click] = []
    for number in range(options.clicks):
        paths = folders[number % len(folders)]
        path = paths[draw.integers(len(paths))]
        gray = luma(open_photo(read_bytes(path)).pixels)
        gray = worn(gray, options.enlarge, options.grain, draw)
        name = path.relative_to(options.photos).as_posix()
        clicks += click(colorizers, name, gray, draw, offered=number % 2 == 0)
    show_clicks(clicks)
    if options.csv is not None:
        write_table(options.csv, clicks, Click)
    show_edges(colorizers)


def by_folder(photos: Path) -> list[list[Path]]:
    """Return the JPEG photos of each folder in ``photos``, and those that lie in none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(photos.rglob("*.jpg")):
        folder, *others = path.relative_to(photos).parts
        found.setdefault(folder if others else "", []).append(path)
    if not found:
        raise SystemExit(f"There are no JPEG photos in {photos}; name a folder with --photos.")
    return [*found.values()]


def ways(predictor: TorchPredictor) -> dict[str, Colorizer]:
    """Return the two ways of following hints."""
    return {"channels": Colorizer(predictor), "spread": Colorizer(WithoutChannels(predictor))}


def worn(gray: Gray, factor: float, grain: float, draw: np.random.Generator) -> Gray:
    """Return a photo enlarged by ``factor``, with the grain of film."""
    if factor != 1:
        gray = np.asarray(
            cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        )
    grainy = np.clip(gray + draw.normal(0, grain, gray.shape), 0, 255)
    return np.asarray(grainy.round(), np.uint8)


def click(
    colorizers: Mapping[str, Colorizer],
    name: str,
    gray: Gray,
    draw: np.random.Generator,
    *,
    offered: bool,
) -> Iterator[Click]:
    """Click a random place of a photo once in each way, with the same color, as on the page."""
    height, width = gray.shape
    x, y = int(draw.integers(width)), int(draw.integers(height))
    wanted = ""
    for way, colorizer in colorizers.items():
        rgb = np.asarray(colorizer(gray), np.uint8)
        desk = Desk(Path(), Path(name), name, Path(), "", gray.shape, gray, rgb)
        if not wanted:
            colors = [each for _, each in likely_colors(desk.rgb, x, y)]
            own = draw.choice(colors) if offered else f"#{draw.bytes(3).hex()}"
            wanted = str(own)
        desk.change([Hint(x, y, wanted)])
        desk.rgb = np.asarray(colorizer(gray, hints=desk.preview_hints()), np.uint8)
        tone = int(gray[y, x])
        yield Click(
            way,
            "offered" if offered else "any",
            name,
            x,
            y,
            tone,
            wanted,
            desk.error_of(desk.hints[0]),
            least_error(desk.hints[0].ab(), tone),
            bool(how_near(desk)),
        )


def least_error(ab: Float, tone: int) -> float:
    """Return how near to ``ab`` (2,) the colors of sRGB come whose luma is ``tone``."""
    red, blue = (each.ravel() for each in np.meshgrid(np.arange(256), np.arange(256)))
    # Of the greens that round to the tone one is enough.
    green = np.rint((tone - 0.299 * red - 0.114 * blue) / 0.587).clip(0, 255)
    rgb = np.stack([red, green, blue], axis=-1).astype(np.uint8)[None]
    there = rgb_to_lab(rgb[:, luma(rgb)[0] == tone])
    asked = np.dstack([there[..., 0], np.broadcast_to(ab, (*there.shape[:2], 2))])
    return float(ciede2000(there, asked).min())


def show_clicks(clicks: Sequence[Click]) -> None:
    """Print a row for each way and source of colors."""
    print(
        f"{'':20}clicks  allowed  within {LIMIT:g}   mean  worst   others  worst excess"
        "  page says so  wrongly"
    )
    for way, source in dict.fromkeys((each.way, each.source) for each in clicks):
        own = [each for each in clicks if (each.way, each.source) == (way, source)]
        allowed = [each for each in own if each.least <= ALLOWED]
        others = [each for each in own if each.least > ALLOWED]
        errors = [each.error for each in allowed]
        excess = [each.error - each.least for each in others]
        far = [each for each in own if each.error > LIMIT]
        print(
            f"{way:10}{source:10}{len(own):6}{len(allowed):9}"
            f"{sum(error <= LIMIT for error in errors):10}{np.mean(errors or [0]):7.2f}"
            f"{max(errors, default=0):7.2f}{len(others):9}{max(excess, default=0):14.2f}"
            f"{sum(each.said for each in far):7} of {len(far):3}"
            f"{sum(each.said and each.error <= LIMIT for each in own):11}"
        )


def show_edges(colorizers: Mapping[str, Colorizer]) -> None:
    """Print how much of a click's change is found beyond edges of several kinds."""
    for way, colorizer in colorizers.items():
        print(f"\n{way}: change beyond an edge, in % of that before it")
        print(f"{'levels':22}" + "".join(f"{step:6}" for step in STEPS))
        for shape, side in EDGES.items():
            for width in WIDTHS:
                shares = [beyond(colorizer, grays(side, step, width), side) for step in STEPS]
                cells = "".join(f"{100 * share:6.1f}" for share in shares)
                print(f"{shape:8} over {width:3} px   {cells}", flush=True)


def grays(side: NDArray[np.float64], step: int, width: int) -> Gray:
    """Return two even grays, ``step`` levels apart within ``width`` px before the edge."""
    ramp = np.clip(side / width + 1, 0, 1)
    return np.asarray((120 + step * (ramp - 0.5)).round(), np.uint8)


def beyond(colorizer: Colorizer, gray: Gray, side: NDArray[np.float64]) -> float:
    """Return the mean change well beyond an edge by that well before it, where a click was."""
    before = np.asarray(colorizer(gray), np.uint8)
    y, x = (int(each) for each in np.unravel_index(np.abs(side + 52).argmin(), side.shape))
    after = np.asarray(colorizer(gray, hints=[Hint(x, y, "#804040")]), np.uint8)
    change: NDArray[np.float32] = ciede2000(rgb_to_lab(before), rgb_to_lab(after))
    near = np.abs(side) < AWAY + 52
    return float(change[near & (side >= AWAY)].mean() / change[near & (side <= -AWAY)].mean())


if __name__ == "__main__":
    main()
