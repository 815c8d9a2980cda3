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
from pipeline.networks.lite_unet import LiteUNet
from pipeline.recipes.colorpipe import SCALE, SMOOTH, Colorpipe
from pipeline.recipes.shared.base import GENERATOR, Augmentation, Batch, Networks

COMMON: Mapping[str, Any] = {
    "adversarial_share": 0.0,
    "balance": 0.5,
    "ema": 0.998,
    "faint": 0.0,
    "pale": 0.0,
    "vividness": 1.3,
}
"""What all variants share besides the recipe's own settings: regression only, so that each has the
whole budget for what it changes, and colors strengthened alike."""

BIN = 10.0
"""Side of a class in units of a* and b* (Zhang et al. 2016, section 2.1)."""
NEAREST, SPREAD = 5, 5.0
"""A color is assigned to this many classes, by a Gaussian with this standard deviation."""
TEMPERATURE = 0.38
"""Of the annealed mean (section 2.3): 1 gives the mean of the classes, 0 the likeliest."""


class SmoothL1(Colorpipe):
    """Smooth L1 of a* and b* as they are, quadratic below 1 unit (as in Zhang et al. 2017)."""

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take the recipe's input, and a* and b* without compression."""
        batch = super().encode(rgb)
        return replace(batch, y=color.tensor_expand_chroma(batch.y * SCALE) / SCALE)

    def regression(self, fake: torch.Tensor, batch: Batch, networks: Networks) -> torch.Tensor:
        """Return the sum of the losses of a* and b*, as in a distance."""
        del networks
        return 2 * functional.smooth_l1_loss(fake, batch.y, beta=SMOOTH)

    def learned_ab(
        self, generator: nn.Module, luma: torch.Tensor, *hints: torch.Tensor
    ) -> torch.Tensor:
        """Predict a* and b* as the recipe does, with nothing to expand."""
        del hints
        ab: torch.Tensor = generator(luma * 2 - 1).float() * SCALE
        return ab


class Classes(Colorpipe):
    """Colors as classes, with more weight on rare ones; predictions are annealed means.

    Zhang et al. (2016), "Colorful image colorization", section 2, on the recipe's own network.
    """

    def generator(self) -> LiteUNet:
        """Build the recipe's U-Net with a class a channel."""
        network = super().generator()
        classes = len(self.centers)
        network.output = nn.Conv2d(self.settings.width, classes, 1)
        network.register_buffer("seen", torch.full((classes,), 1e-6))
        return network

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
        colors = color.tensor_expand_chroma(batch.y * SCALE)
        a, b = colors.round().long().add(128).clamp(0, 255).unbind(1)
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

    def learned_ab(
        self, generator: nn.Module, luma: torch.Tensor, *hints: torch.Tensor
    ) -> torch.Tensor:
        """Predict a* and b* as the annealed mean of the classes."""
        del hints
        likely = (generator(luma * 2 - 1).float() / TEMPERATURE).softmax(1)
        return torch.einsum("nqhw,qc->nchw", likely, self.centers.to(likely.device))


class NoContext(Colorpipe):
    """The U-Net without what the picture as a whole adds to every place."""

    def generator(self) -> LiteUNet:
        """Build the U-Net and take the context out."""
        network = super().generator()
        nn.init.zeros_(network.context.weight)
        nn.init.zeros_(network.context.bias)
        network.context.requires_grad_(False)
        return network


class SquareCrops(Colorpipe):
    """Squares as they are: neither stretched nor put together to collages."""

    augmentation: ClassVar[Augmentation | None] = Augmentation(0.5, 1.0)


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
    Variant("recipe", "The recipe, regression only."),
    Variant("seed 1", "The same with another seed: differences up to this are noise.", seed=1),
    Variant("from scratch", "The encoder is not pretrained.", {"pretrained_encoder": False}),
    Variant("lite0", "EfficientNet-Lite0 for Lite1.", {"encoder": "lite0"}),
    Variant("lite2", "EfficientNet-Lite2 for Lite1.", {"encoder": "lite2"}),
    Variant("all stages", "No stage of the encoder is frozen.", {"frozen_stages": 0}),
    Variant("frozen encoder", "All stages of the encoder are frozen.", {"frozen_stages": 7}),
    Variant("one rate", "The encoder learns as fast as the decoder.", {"encoder_rate": 1.0}),
    Variant("wide", "A decoder half as wide again.", {"width": 48}),
    Variant("no attention", "The U-Net has no self-attention.", {"attention": 0}),
    Variant("no context", "The U-Net has no global context.", recipe=NoContext),
    Variant("no hints", "No picture has hints of its colors.", {"hinted": 0.0}),
    Variant("squares", "No stretched crops, no collages.", recipe=SquareCrops),
    Variant("smooth L1", "Smooth L1 of a*, b* for the compressed distance.", recipe=SmoothL1),
    Variant("exponent 1.5", "The distance to the power of 1.5.", {"exponent": 1.5}),
    Variant("exponent 2", "The square of the distance.", {"exponent": 2.0}),
    Variant("balance 0", "Categories are drawn as they come.", {"balance": 0.0}),
    Variant("no aged photos", "No gray photo is made to look old.", {"aged": 0.0}),
    Variant("no film", "All gray photos are made from luma.", {"luminance": 0.0}),
    Variant("no average", "The last weights instead of averaged ones.", {"ema": 0.0}),
    Variant("faint colors fade", "Predicted chroma below 10 fades.", {"faint": 10.0}),
    Variant("near-gray photos", "Cleaning leaves gray and tinted photos in.", near_gray=True),
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
