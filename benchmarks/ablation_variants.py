"""Variants of the recipe ``colorpipe`` for ``ablations.py``, with one change each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from pipeline.imaging import color
from pipeline.networks.compact_unet import CompactUNet
from pipeline.recipes.colorpipe import SCALE, SMOOTH, Colorpipe
from pipeline.recipes.shared import lab
from pipeline.recipes.shared.base import (
    GENERATOR,
    Augmentation,
    Batch,
    Networks,
    Phase,
)
from pipeline.training.photo_set import resized

COMMON: Mapping[str, Any] = {
    "adversarial_share": 0.0,
    "aged": 0.3,
    "balance": 0.3,
    "dropout": 0.0,
    "exponent": 1.0,
    "faint": 0.0,
    "lambda_regression": 4.0,
    "luminance": 0.0,
    "vividness": 1.2,
    "weight_decay": 0.01,
}
"""What all variants share in place of the recipe's own settings: those by which the pretrained
weights were first trained from scratch (``models/colorpipe-first.yaml``), but with regression only,
so that each variant has the whole budget for its change. Later changes of the recipe are variants
too."""

BIN = 10.0
"""Side of a class in units of a* and b* (Zhang et al. 2016, section 2.1)."""
NEAREST, SPREAD = 5, 5.0
"""A color is assigned to this many classes, by a Gaussian with this standard deviation."""
TEMPERATURE = 0.38
"""Of the annealed mean (section 2.3): 1 gives the mean of the classes, 0 the likeliest."""


class SmoothL1(Colorpipe):
    """Smooth L1 of a* and b* as they are, quadratic below 1 unit (as in Zhang et al. 2017)."""

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Encode the recipe's input, and a* and b* without compression."""
        return replace(super().encode(rgb), y=color.tensor_rgb_to_lab(rgb)[:, 1:] / SCALE)

    def regression(self, fake: torch.Tensor, batch: Batch, networks: Networks) -> torch.Tensor:
        """Return the sum of the losses of a* and b*, as in a distance."""
        del networks
        return 2 * functional.smooth_l1_loss(fake, batch.y, beta=SMOOTH)

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b*, which need no expansion here."""
        ab: torch.Tensor = generator(lab.lightness(luma)).float() * SCALE
        return self.vivid(ab)


class Classes(Colorpipe):
    """Colors as classes, with more weight on rare ones; predictions are annealed means.

    Zhang et al. (2016), "Colorful image colorization", section 2, on the recipe's own network.
    """

    def generator(self) -> CompactUNet:
        """Build the recipe's U-Net with a channel for each class."""
        return ClassUNet(self.widths, len(self.centers))

    @cached_property
    def centers(self) -> torch.Tensor:
        """The classes' a* and b* (classes, 2): the cells of a grid that hold colors of sRGB."""
        levels = torch.linspace(0, 1, 65)
        cube = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij"))
        ab = color.tensor_rgb_to_lab(cube.flatten(2)[None])[0, 1:].flatten(1)
        cells: torch.Tensor = torch.unique((ab / BIN).round(), dim=1)
        return cells.T * BIN

    @cached_property
    def shares(self) -> torch.Tensor:
        """The classes' shares (65536, classes) in each pair of integer a* and b*, from -128 on."""
        whole = torch.arange(-128.0, 128.0)
        nearest = torch.cdist(torch.cartesian_prod(whole, whole), self.centers).topk(
            NEAREST, largest=False
        )
        weights = (-nearest.values.square() / (2 * SPREAD**2)).softmax(1)
        return torch.zeros(256 * 256, len(self.centers)).scatter(1, nearest.indices, weights)

    def regression(self, fake: torch.Tensor, batch: Batch, networks: Networks) -> torch.Tensor:
        """Return the cross-entropy of logits (N, classes, H/2, W/2), rebalanced."""
        small = functional.avg_pool2d(batch.y, 2) * SCALE
        a, b = color.tensor_expand_chroma(small).round().long().add(128).clamp(0, 255).unbind(1)
        wanted = self.shares.to(fake.device)[256 * a + b]
        seen = networks[GENERATOR].get_buffer("seen")
        with torch.no_grad():
            seen += wanted.mean((0, 1, 2))
        # Section 2.2: the inverse of the mean of the classes' frequencies and a uniform
        # distribution, scaled to 1 on average. The frequencies are those seen so far, whereas the
        # paper counts them beforehand.
        prior = seen / seen.sum()
        weights = 1 / (prior + 1 / len(prior))
        weights = weights / (prior * weights).sum()
        loss = -(wanted * fake.log_softmax(1).permute(0, 2, 3, 1)).sum(-1)
        return (weights[wanted.argmax(-1)] * loss).mean()

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* as the annealed mean of the classes."""
        logits = generator(lab.lightness(luma)).float()
        likely = (logits / TEMPERATURE).softmax(1)
        ab = torch.einsum("nqhw,qc->nchw", likely, self.centers.to(logits.device))
        ab = functional.interpolate(ab, luma.shape[-2:], mode="bilinear", align_corners=False)
        return self.vivid(ab)


class ClassUNet(CompactUNet):
    """The U-Net with a 1x1 head that gives logits (N, ``classes``, H/2, W/2)."""

    def __init__(self, widths: list[int], classes: int) -> None:
        super().__init__(widths=widths)
        # The U-Net enlarges what its head gives. Features are enlarged here, which are fewer than
        # the classes.
        self.add_module("head", nn.Identity())
        self.logits = nn.Conv2d(widths[0], classes, 1)
        self.register_buffer("seen", torch.full((classes,), 1e-6))

    def forward(self, x: torch.Tensor, *, with_features: bool = False) -> Any:
        """Map lightness to logits, and to the innermost features if ``with_features``."""
        outer, features = super().forward(x, with_features=True)
        logits = self.logits(functional.avg_pool2d(outer, 2))
        return (logits, features) if with_features else logits


class NoContext(Colorpipe):
    """The U-Net without the global context that is added at every position."""

    def generator(self) -> CompactUNet:
        """Build the U-Net and remove the context."""
        network = super().generator()
        network.add_module("context", nn.Identity())
        return network


class WideCrops(Colorpipe):
    """Crops from about a third of a photo's shorter side to all of it."""

    augmentation: ClassVar[Augmentation | None] = Augmentation(0.35, 1.0)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Sample at twice the size: the sampler would shrink large crops without antialiasing."""
        return tuple(replace(phase, size=2 * self.settings.size) for phase in super().phases)

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Shrink the crops to the training size with antialiasing first."""
        return super().encode(resized(rgb, self.settings.size))


@dataclass(frozen=True)
class Variant:
    """One change of the recipe."""

    name: str
    sentence: str
    """What is changed."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings in place of :data:`COMMON` and the recipe's own."""
    recipe: type[Colorpipe] = Colorpipe
    seed: int = 0
    near_gray: bool = False
    """Whether it is trained on the split that still has near-gray photos."""


VARIANTS = (
    Variant("recipe", "The recipe as it first was, with regression only."),
    Variant("seed 1", "Another seed: smaller differences than this are noise.", seed=1),
    Variant(
        "smooth L1", "Smooth L1 of a* and b* instead of the compressed distance.", recipe=SmoothL1
    ),
    Variant("no categories", "The photo's category is not predicted.", {"lambda_category": 0.0}),
    Variant("balance 0", "Categories are not balanced.", {"balance": 0.0}),
    Variant("balance 0.6", "Categories are balanced more.", {"balance": 0.6}),
    Variant("no aged photos", "No training photo is aged.", {"aged": 0.0}),
    Variant("no context", "The U-Net has no global context.", recipe=NoContext),
    Variant("no average", "The last weights instead of averaged ones.", {"ema": 0.0}),
    Variant("own lightness", "Half of the inputs are the colors' own L*.", {"luminance": 0.5}),
    Variant("exponent 1.5", "The distance to the power of 1.5.", {"exponent": 1.5}),
    Variant("exponent 2", "The square of the distance.", {"exponent": 2.0}),
    Variant("dropout", "0.3 of the innermost channels are dropped.", {"dropout": 0.3}),
    Variant("weight decay", "1 instead of 0.01.", {"weight_decay": 1.0}),
    Variant("faint colors fade", "Predicted chroma below 10 fades.", {"faint": 10.0}),
    Variant("near-gray photos", "Cleaning keeps gray and tinted photos.", near_gray=True),
    Variant("wide crops", "Crops of 0.35 to 1 of the shorter side.", recipe=WideCrops),
    Variant(
        "adversarial",
        "The last 15 % are adversarial, as in the recipe.",
        {"adversarial_share": 0.15},
    ),
    # The paper does not scale its colors. Cross-entropy is several times as large as the distance.
    Variant(
        "classes",
        "Cross-entropy over classes of a*, b*, rebalanced; annealed mean.",
        {"lambda_regression": 1.0, "vividness": 1.0},
        Classes,
    ),
)
