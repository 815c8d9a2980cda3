"""The weights that a run may end with: a look at each epoch's, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file
from pipeline.recipes.base import Recipe
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.loss_log import Curve
from pipeline.training.photo_set import PhotoSet
from pipeline.training.validation import COSTS, MetricName, balanced, watch

VALIDATION_PHOTOS = 64
"""How many validation photos are looked at after each epoch, at most."""


@dataclass
class Best:
    """The weights that did best on the validation photos so far."""

    epoch: int
    """0 for the weights that training started from."""
    cost: float
    weights: dict[str, torch.Tensor]


class Candidates:
    """Looks at the generator after each epoch, and keeps the best.

    Args:
        recipe: what is trained.
        photos: photos that are not learned from; None for none, and nothing is looked at.
        checkpoint: where the contact sheets are kept until the run ends.
        device: where to compute.
        dtype: what to compute convolutions in.
        best_in: keep the weights of the least cost by this metric; None keeps none.
        samples: photos on each contact sheet; 0 makes none.

    Raises:
        ColorpipeError: the best weights are asked for and there are no photos to tell.
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
                "train.keep is 'best', but the split has no validation photos to tell; set"
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
        """A row a look: the epoch, what was measured, and the balanced cost of it."""
        self.best: Best | None = None

    def look(self, epoch: int, generator: nn.Module) -> None:
        """Measure the weights at the end of ``epoch``; those before the first step are epoch 0."""
        if self.photos is None:
            return
        # Evenly from all categories, by which names are sorted.
        count = min(len(self.photos), VALIDATION_PHOTOS)
        places = np.linspace(0, len(self.photos) - 1, count).astype(int)
        seen = watch(
            self.recipe,
            generator,
            self.photos.pixels[places],
            self.device,
            self.dtype,
            shown=self.samples,
        )
        measures = seen.measures
        self.rows.append({"epoch": float(epoch), **measures, "balanced": balanced(measures)})
        if seen.made:
            with new_file(self.checkpoint.sheet(epoch)) as temporary:
                seen.sheet(f"epoch {epoch}").save(temporary)
        if self.best_in is None:
            return
        cost = COSTS[self.best_in](measures)
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
