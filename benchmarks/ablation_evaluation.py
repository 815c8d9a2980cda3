"""How ``ablations.py`` evaluates a colorizer on held-out photos, also at equal colorfulness."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.dataset.split_folder import list_pairs
from pipeline.errors import ColorpipeError
from pipeline.evaluation.metric_table import PHOTO_METRICS
from pipeline.evaluation.metrics import colorfulness
from pipeline.evaluation.scores import Scores
from pipeline.imaging import color
from pipeline.imaging.decode import RGB, Gray, ImageError, luma_of, open_photo
from pipeline.inference.colorizer import Colorizer
from pipeline.recipes.shared.aging import aged

OLD = "old prints"
"""The name of a set that is made of test photos, aged."""
STRONGEST = 8.0
"""The largest factor on chroma that is tried to reach the common colorfulness ratio."""

_BATCH = 16
_CLOSE = 0.003
_AGED = 3
_RESULT = "result"


@dataclass(frozen=True)
class HeldOut:
    """Gray photos and their ground truth, in the order of their names."""

    name: str
    photos: tuple[str, ...]
    grays: list[Gray]
    originals: list[RGB]

    @property
    def fingerprint(self) -> str:
        """A hash of the names and the pixels of all pairs."""
        digest = hashlib.sha256()
        for name, *pair in zip(self.photos, self.grays, self.originals, strict=True):
            digest.update(f"{name} {pair[0].shape}".encode())
            for pixels in pair:
                digest.update(hashlib.sha256(pixels.tobytes()).digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class Figures:
    """The metrics of colorized photos on one set, in the units of ``pipeline.evaluation``."""

    set: str
    photos: int
    ciede2000: float
    psnr: float
    colorfulness_ratio: float
    layout_distance: float | None
    """None for fewer than two photos; comparable only on the same photos."""


def read_held_out(split: Path, most: int) -> HeldOut:
    """Read ``split/test_x`` and ``split/test_y``, at most ``most`` pairs, evenly by name.

    Raises:
        ColorpipeError: a folder or a photo is missing or damaged, or a pair differs in size.
    """
    names = list_pairs(split, "test")
    count = min(len(names), most)
    chosen = [names[place * len(names) // count] for place in range(count)]
    grays, originals = [], []
    for name in chosen:
        x, y = split / "test_x" / name, split / "test_y" / name
        try:
            gray, original = luma_of(open_photo(x).image), open_photo(y).pixels
        except ImageError as error:
            raise ColorpipeError(f"{x} or {y} cannot be read: {error}.") from error
        if gray.shape != original.shape[:2]:
            raise ColorpipeError(f"{x} and {y} differ in size; run `colorpipe split` again.")
        grays.append(gray)
        originals.append(original)
    return HeldOut(split.name, tuple(chosen), grays, originals)


def as_old_prints(sets: Sequence[HeldOut]) -> HeldOut:
    """Age one in three photos; the ground truth is its own colors over the aged gray."""
    names, grays, originals = [], [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for photos in sets:
            pairs = zip(photos.photos, photos.grays, photos.originals, strict=True)
            for name, gray, original in list(pairs)[::_AGED]:
                luma = torch.from_numpy(gray.astype(np.float32) / 255)[None, None]
                old = (aged(luma, 1.0)[0, 0] * 255).round().byte().numpy()
                names.append(name)
                grays.append(old)
                originals.append(color.chroma_over(old, color.rgb_to_lab(original)[..., 1:]))
    return HeldOut(OLD, tuple(names), grays, originals)


def common_strength(colorizer: Colorizer, sets: Sequence[HeldOut], ratio: float) -> float | None:
    """Return the factor on chroma that gives all photos together the colorfulness ``ratio``.

    None if even :data:`STRONGEST` is too little. The colorizer is left with the strength 1.
    """
    wanted = ratio * sum(colorfulness(original) for photos in sets for original in photos.originals)

    def excess(strength: float) -> float:
        colorizer.strength = strength
        made = (result for photos in sets for result in _colorized(colorizer, photos.grays))
        return sum(colorfulness(result) for result in made) / wanted * ratio - ratio

    try:
        low, below = 0.0, -ratio
        high, above = 1.0, excess(1.0)
        while above < 0:
            if high >= STRONGEST:
                return None
            low, below = high, above
            high = min(high * 2, STRONGEST)
            above = excess(high)
        # The ratio grows with the strength, but ever more slowly, since the gamut ends. A chord of
        # such a curve lies below it, so its zero is always too high.
        while above > _CLOSE and high - low > 1e-3:
            middle = low + (high - low) * below / (below - above)
            here = excess(middle)
            if here < 0:
                low, below = middle, here
            else:
                high, above = middle, here
        return high
    finally:
        colorizer.strength = 1.0


def evaluate(colorizer: Colorizer, strength: float, sets: Sequence[HeldOut]) -> list[Figures]:
    """Colorize all photos with ``strength`` and compare them with the ground truth."""
    colorizer.strength = strength
    return [_figures(photos, _colorized(colorizer, photos.grays)) for photos in sets]


def evaluate_gray(sets: Sequence[HeldOut]) -> list[Figures]:
    """Compare the gray photos, which are the baseline, with the ground truth."""
    return [
        _figures(photos, (np.repeat(gray[..., None], 3, axis=2) for gray in photos.grays))
        for photos in sets
    ]


def _colorized(colorizer: Colorizer, grays: Sequence[Gray]) -> Iterator[RGB]:
    for start in range(0, len(grays), _BATCH):
        for made in colorizer.colorize_many(grays[start : start + _BATCH]):
            yield np.asarray(made, np.uint8)


def _figures(photos: HeldOut, results: Iterator[RGB]) -> Figures:
    scores = Scores([_RESULT])
    for name, original, result in zip(photos.photos, photos.originals, results, strict=True):
        scores.add(name, photos.name, original, {_RESULT: result})
    summary = scores.summary(resamples=1, seed=0)
    found = {metric.name: summary.estimate(metric, _RESULT) for metric in PHOTO_METRICS}
    values = {name: estimate.value for name, estimate in found.items() if estimate}
    return Figures(
        set=photos.name,
        photos=len(photos.photos),
        ciede2000=values["ciede2000"],
        psnr=values["psnr"],
        colorfulness_ratio=values["colorfulness_ratio"],
        layout_distance=scores.distances(_RESULT)["layout_distance"],
    )
