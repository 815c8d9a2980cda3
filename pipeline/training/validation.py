"""Validation after every epoch: how well photos that are not learned from are colored by then.

The weights that color them best are kept. What is measured, and what the best weights may be best
in, are the metrics of single photos in :mod:`pipeline.evaluation.metric_table`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.evaluation.metric_table import PHOTO_METRICS, SCORES, Picture, find_metric
from pipeline.evaluation.scores import GRAY, GROUND_TRUTH
from pipeline.imaging.color import chroma_over, luma
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB
from pipeline.params import MetricName
from pipeline.recipes.shared.base import Recipe
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.loss_log import Curve
from pipeline.training.photo_set import PhotoSet, resized, to_tensor

MOST_PHOTOS = 64
"""Validation uses at most this many photos: it is repeated after each epoch."""

_BATCH = 8
_CELL = 128


@dataclass
class Best:
    """The weights that did best on the validation photos so far."""

    epoch: int
    """0 for the weights that training started from."""
    cost: float
    """By :meth:`pipeline.evaluation.metric_table.Metric.cost`."""
    weights: dict[str, torch.Tensor]


class Validation:
    """Validates the generator after each epoch, and keeps its best weights.

    Args:
        recipe: what is trained.
        photos: the validation photos; without any nothing happens.
        checkpoint: where the contact sheets are kept until the run ends.
        device: where to compute.
        dtype: what to compute convolutions in.
        best_in: the metric by which the best weights are kept; None keeps none.
        samples: photos on each contact sheet; 0 makes none.

    Raises:
        ColorpipeError: the best weights are asked for and there are no validation photos.
    """

    def __init__(
        self,
        recipe: Recipe,
        photos: PhotoSet | None,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        best_in: MetricName | None,
        samples: int,
    ) -> None:
        if best_in is not None and photos is None:
            raise ColorpipeError(
                "train.keep is 'best', but the split has no validation photos to choose by; set"
                " split.val_fraction above 0, or train.keep to 'last'."
            )
        self.recipe = recipe
        self.photos = photos
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.best_in = best_in
        self.samples = samples
        self.rows: Curve = []
        """A row an epoch: its number and the metrics that are defined."""
        self.best: Best | None = None

    def validate(self, epoch: int, generator: nn.Module) -> None:
        """Measure the weights at the end of ``epoch``; those before the first step are epoch 0.

        Raises:
            ColorpipeError: the contact sheet cannot be written.
        """
        if self.photos is None:
            return
        # Evenly from all categories, by which names are sorted.
        count = min(len(self.photos), MOST_PHOTOS)
        places = np.linspace(0, len(self.photos) - 1, count).astype(int)
        measured = measure(
            self.recipe,
            generator,
            self.photos.pixels[places],
            self.device,
            self.dtype,
            shown=self.samples,
        )
        metrics = measured.metrics
        defined = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.rows.append({"epoch": float(epoch), **defined})
        if measured.results:
            self.checkpoint.save_sheet(epoch, measured.sheet(f"epoch {epoch}"))
        if self.best_in in defined:
            cost = find_metric(self.best_in).cost(defined[self.best_in])
            if self.best is None or cost < self.best.cost:
                weights = {
                    name: value.detach().to("cpu", copy=True)
                    for name, value in generator.state_dict().items()
                }
                self.best = Best(epoch, cost, weights)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep."""
        return {"validation": self.rows, "best": vars(self.best) if self.best else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned.

        Raises:
            KeyError, TypeError: it is of another version.
        """
        self.rows = state["validation"]
        self.best = Best(**state["best"]) if state["best"] else None


@dataclass(frozen=True)
class Measured:
    """How well a generator colors photos, and what it made of some of them."""

    metrics: Mapping[str, float]
    """Those of single photos, by name; NaN or infinite where one is not defined."""
    truths: list[RGB]
    results: list[RGB]

    def sheet(self, label: str) -> Image.Image:
        """Lay out gray, colorized and original pictures in three rows; the second is ``label``."""
        grays = [np.repeat(luma(truth)[..., None], 3, axis=2) for truth in self.truths]
        return contact_sheet(
            [grays, self.results, self.truths],
            [GRAY, label, GROUND_TRUTH],
            cell=min(max(self.results[0].shape), _CELL),
        )


def measure(
    recipe: Recipe,
    generator: nn.Module,
    pixels: NDArray[np.uint8],
    device: torch.device,
    dtype: torch.dtype,
    *,
    shown: int = 0,
) -> Measured:
    """Colorize sRGB photos (N, H, W, 3) at the recipe's training size and measure the results.

    ``shown`` of the pictures, evenly chosen, are returned too; the generator is left in the mode
    it was in.
    """
    chosen = set(np.linspace(0, len(pixels) - 1, min(shown, len(pixels))).astype(int).tolist())
    was_training = generator.training
    generator.eval()
    scores: dict[str, list[float]] = {name: [] for name in SCORES}
    shown_truths: list[RGB] = []
    shown_results: list[RGB] = []
    for start in range(0, len(pixels), _BATCH):
        truths = _at_size(pixels[start : start + _BATCH], recipe.settings.size)
        results = _colorized(recipe, generator, truths, device, dtype)
        for place, (truth, result) in enumerate(zip(truths, results, strict=True), start):
            pair = Picture(result), Picture(truth)
            for name, score in SCORES.items():
                scores[name].append(score(*pair))
            if place in chosen:
                shown_truths.append(truth)
                shown_results.append(result)
    generator.train(was_training)
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    metrics = {metric.name: metric.value(means) for metric in PHOTO_METRICS}
    return Measured(metrics, shown_truths, shown_results)


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
