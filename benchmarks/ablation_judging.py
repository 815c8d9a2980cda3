"""How ``ablations.py`` judges a colorizer: on held-out photos, and at a common vividness too."""

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
"""The test photos made to look old, as a set of its own."""
STRONGEST = 8.0
"""Colors that are too weak even this many times as strong have no common ratio."""

_BATCH = 16
_CLOSE = 0.003
_RESULT = "result"


@dataclass(frozen=True)
class HeldOut:
    """Gray photos and their truths, in the order of their names."""

    name: str
    photos: tuple[str, ...]
    grays: list[Gray]
    truths: list[RGB]

    @property
    def fingerprint(self) -> str:
        """Hash of the names and the pixels of all pairs."""
        digest = hashlib.sha256()
        for name, *pair in zip(self.photos, self.grays, self.truths, strict=True):
            digest.update(f"{name} {pair[0].shape}".encode())
            for pixels in pair:
                digest.update(hashlib.sha256(pixels.tobytes()).digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class Figures:
    """What a result comes to on one set of photos, in the units of ``pipeline.evaluation``."""

    set: str
    photos: int
    ciede2000: float
    psnr: float
    colorfulness_ratio: float
    layout_distance: float | None
    """None for fewer than two photos; it compares only on the same photos."""


def read_held_out(split: Path, most: int) -> HeldOut:
    """Read ``split/test_x`` and ``split/test_y``, at most ``most`` pairs, evenly by name.

    Raises:
        ColorpipeError: a folder or a photo is missing or damaged, or a pair differs in size.
    """
    names = list_pairs(split, "test")
    count = min(len(names), most)
    chosen = [names[place * len(names) // count] for place in range(count)]
    grays, truths = [], []
    for name in chosen:
        x, y = split / "test_x" / name, split / "test_y" / name
        try:
            gray, truth = luma_of(open_photo(x).image), open_photo(y).pixels
        except ImageError as error:
            raise ColorpipeError(f"{x} or its truth cannot be read: {error}.") from error
        if gray.shape != truth.shape[:2]:
            raise ColorpipeError(f"{x} and {y} differ in size; run `colorpipe split` again.")
        grays.append(gray)
        truths.append(truth)
    return HeldOut(split.name, tuple(chosen), grays, truths)


def as_old_prints(sets: Sequence[HeldOut], every: int = 3) -> HeldOut:
    """Age every third photo of ``sets``; the truth is its own colors over the aged tones."""
    names, grays, truths = [], [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for photos in sets:
            pairs = zip(photos.photos, photos.grays, photos.truths, strict=True)
            for name, gray, truth in list(pairs)[::every]:
                luma = torch.from_numpy(gray.astype(np.float32) / 255)[None, None]
                old = (aged(luma, 1.0)[0, 0] * 255).round().byte().numpy()
                names.append(name)
                grays.append(old)
                truths.append(color.chroma_over(old, color.rgb_to_lab(truth)[..., 1:]))
    return HeldOut(OLD, tuple(names), grays, truths)


def common_strength(colorizer: Colorizer, sets: Sequence[HeldOut], ratio: float) -> float | None:
    """Return the factor on chroma at which all photos together have the colorfulness ``ratio``.

    None where colors are too weak for any factor up to :data:`STRONGEST`. The colorizer is left
    with the strength 1.
    """
    wanted = ratio * sum(colorfulness(truth) for photos in sets for truth in photos.truths)

    def off(strength: float) -> float:
        """The ratio grows with the strength, ever more slowly as the gamut ends."""
        colorizer.strength = strength
        made = (result for photos in sets for result in _colorized(colorizer, photos.grays))
        return sum(colorfulness(result) for result in made) / wanted * ratio - ratio

    try:
        low, below = 0.0, -ratio
        high, above = 1.0, off(1.0)
        while above < 0:
            if high >= STRONGEST:
                return None
            low, below = high, above
            high = min(high * 2, STRONGEST)
            above = off(high)
        # The chord of a curve that bends down lies below it: its zero is always too high.
        while above > _CLOSE and high - low > 1e-3:
            middle = low + (high - low) * below / (below - above)
            here = off(middle)
            if here < 0:
                low, below = middle, here
            else:
                high, above = middle, here
        return high
    finally:
        colorizer.strength = 1.0


def judge(colorizer: Colorizer, strength: float, sets: Sequence[HeldOut]) -> list[Figures]:
    """Colorize all photos with ``strength`` and measure how far they are from the truth."""
    colorizer.strength = strength
    return [_figures(photos, _colorized(colorizer, photos.grays)) for photos in sets]


def judge_gray(sets: Sequence[HeldOut]) -> list[Figures]:
    """Measure the gray photos as they are, the baseline of doing nothing."""
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
    for name, truth, result in zip(photos.photos, photos.truths, results, strict=True):
        scores.add(name, photos.name, truth, {_RESULT: result})
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
