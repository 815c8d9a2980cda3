"""A look at photos that are not learned from, after every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pipeline.evaluation.metrics import colorfulness, mean_ciede2000
from pipeline.imaging.color import chroma_over, luma, rgb_to_lab
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB
from pipeline.recipes.base import Recipe
from pipeline.training.photo_set import resized, to_tensor

Measures = Mapping[str, float]
"""``ciede2000``, and ``colorfulness_ratio``, the photos' own being 1; means over photos."""

MetricName = Literal["balanced", "ciede2000", "colorfulness_ratio"]


def balanced(measures: Measures) -> float:
    """Return CIEDE2000 times ``1 + |1 - colorfulness ratio|``: right colors, and as strong.

    CIEDE2000 alone is least for timid colors: where a red and a green are equally likely, the gray
    between them is off by less than either. Here gray costs twice its difference, and so do colors
    that are twice too strong.
    """
    return measures["ciede2000"] * (1 + abs(1 - measures["colorfulness_ratio"]))


def _off_the_ratio(measures: Measures) -> float:
    """A ratio of 2 is as bad as one of 1/2."""
    return abs(math.log(max(measures["colorfulness_ratio"], 1e-6)))


COSTS: Mapping[MetricName, Callable[[Measures], float]] = {
    "balanced": balanced,
    "ciede2000": lambda measures: measures["ciede2000"],
    "colorfulness_ratio": _off_the_ratio,
}
"""How bad a look's measures are, by what is to be best."""

_BATCH = 8
_CELL = 128


@dataclass(frozen=True)
class Look:
    """What was seen: means over the photos, and the pictures of some."""

    measures: Measures
    truths: list[RGB]
    made: list[RGB]

    def sheet(self, label: str) -> Image.Image:
        """Lay out gray, colorized and true pictures in three rows; ``label`` is the second's."""
        grays = [np.repeat(luma(truth)[..., None], 3, axis=2) for truth in self.truths]
        return contact_sheet(
            [grays, self.made, self.truths],
            ["gray", label, "truth"],
            cell=min(max(self.made[0].shape), _CELL),
        )


def watch(
    recipe: Recipe,
    generator: nn.Module,
    pixels: NDArray[np.uint8],
    device: torch.device,
    dtype: torch.dtype,
    *,
    shown: int = 0,
) -> Look:
    """Colorize sRGB photos (N, H, W, 3) at the recipe's training size and measure the results.

    ``shown`` of the pictures, evenly chosen, are returned too; the generator is left in the mode
    it was in.
    """
    chosen = set(np.linspace(0, len(pixels) - 1, min(shown, len(pixels))).astype(int).tolist())
    was_training = generator.training
    generator.eval()
    differences, made_colors, true_colors = [], [], []
    shown_truths: list[RGB] = []
    shown_made: list[RGB] = []
    for start in range(0, len(pixels), _BATCH):
        truths = _at_size(pixels[start : start + _BATCH], recipe.settings.size)
        for truth, made in zip(
            truths, _colorized(recipe, generator, truths, device, dtype), strict=True
        ):
            differences.append(mean_ciede2000(rgb_to_lab(made), rgb_to_lab(truth)))
            made_colors.append(colorfulness(made))
            true_colors.append(colorfulness(truth))
            if len(differences) - 1 in chosen:
                shown_truths.append(truth)
                shown_made.append(made)
    generator.train(was_training)
    measures = {
        "ciede2000": float(np.mean(differences)),
        "colorfulness_ratio": float(np.mean(made_colors) / max(np.mean(true_colors), 1e-6)),
    }
    return Look(measures, shown_truths, shown_made)


def _at_size(pixels: NDArray[np.uint8], size: int) -> Sequence[RGB]:
    scaled = resized(to_tensor(pixels, torch.device("cpu")), size)
    return list((scaled * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy())


def _colorized(
    recipe: Recipe,
    generator: nn.Module,
    truths: Sequence[RGB],
    device: torch.device,
    dtype: torch.dtype,
) -> list[RGB]:
    grays = [luma(truth) for truth in truths]
    x = torch.from_numpy(np.stack(grays))[:, None].to(device).float() / 255
    with torch.inference_mode():
        ab = recipe.predict_ab(_Autocast(generator, dtype), x)
    colors = ab.permute(0, 2, 3, 1).float().cpu().contiguous().numpy()
    return [chroma_over(gray, of_one) for gray, of_one in zip(grays, colors, strict=True)]


class _Autocast(nn.Module):
    """Computes ``module`` alone in ``dtype``; the colors around it stay in float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, self.dtype, self.dtype != torch.float32):
            result: torch.Tensor = self.module(x)
        return result.float()
