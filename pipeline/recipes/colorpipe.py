"""The project's own recipe: colors first by regression, then a short adversarial phase."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.imaging import color
from pipeline.networks.compact_unet import CompactUNet
from pipeline.networks.patchgan import PatchGAN
from pipeline.recipes.shared import lab
from pipeline.recipes.shared.aging import aged
from pipeline.recipes.shared.base import (
    CATEGORY_HEAD,
    CROPS,
    DISCRIMINATOR,
    GENERATOR,
    Augmentation,
    Batch,
    ColorSpace,
    Networks,
    Optimizers,
    Phase,
    Recipe,
    Settings,
    Update,
    frozen,
)
from pipeline.recipes.shared.losses import least_squares

SCALE = 20.0
"""Compressed chroma is divided by it; that of sRGB reaches 40."""
SMOOTH = 0.05
"""Distances below it count as their square."""


class ColorpipeSettings(Settings):
    """Hyper-parameters of the recipe ``colorpipe``."""

    epochs: int = Field(60, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training crops in pixels.")
    learning_rate: float = Field(1e-3, gt=0, description="The generator's highest learning rate.")
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Decay a step of the averaged generator, less in short runs; 0 averages none.",
    )
    early_share: float = Field(
        0.0, ge=0, le=1, description="The part of the epochs on smaller pictures, at the start."
    )
    early_size: int = Field(
        64, ge=32, le=1024, multiple_of=32, description="Side of those in pixels."
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="The share of the U-Net's innermost channels left out."
    )
    weight_decay: float = Field(0.1, ge=0, description="AdamW's, of generator and category head.")
    width: int = Field(32, ge=4, description="Filters of the generator's first layer.")
    adversarial_share: float = Field(
        0.15, ge=0, le=1, description="The part of the epochs that is adversarial, at the end."
    )
    adversarial_rate: float = Field(
        1e-4,
        gt=0,
        description="Both learning rates in the adversarial phase; the generator's falls to it"
        " before, and is never above learning_rate.",
    )
    exponent: float = Field(
        1.5,
        ge=1,
        le=2,
        description="Of the distance of colors: 1 looks for the median of those that are possible,"
        " which leaves out rare ones; 2 for their mean, which is gray-brown.",
    )
    lambda_regression: float = Field(
        5.0, ge=0, description="Weight of the regression; the adversarial loss has weight 1."
    )
    lambda_category: float = Field(
        0.3, ge=0, description="Weight of guessing the photo's category; 0 leaves the guess out."
    )
    luminance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The share of the gray photos made from the light, as on film, not from luma.",
    )
    aged: float = Field(
        0.3, ge=0, le=1, description="The share of the gray photos made to look like old ones."
    )
    vividness: float = Field(
        1.45, ge=0, le=3, description="Multiplies the chroma that is predicted; 1 is as learned."
    )
    faint: float = Field(
        10.0,
        ge=0,
        le=60,
        description="Predicted chroma below it fades, the fainter the more: it is mostly doubt.",
    )


class Colorpipe(Recipe):
    """Lab, a compact U-Net and a PatchGAN.

    Input is L* of the neutral gray of the photo's luma, which is all that a black-and-white photo
    gives; output are a* and b* with their chroma compressed, so that the distance that is
    minimized is nearly CIEDE2000's. What is left of timidity is made up for by ``vividness``.

    The photos' categories are guessed from the network's innermost level along the way (Iizuka et
    al. 2016, section 3.3): it then knows what it looks at. Some gray photos are aged, so that it
    knows old ones too, and some are made from the photo's light, as on film, in place of luma: to
    one a red thing is darker than to the other. The adversarial phase is short, at the end, after
    NoGAN (DeOldify): by then the generator's colors are in the right places.
    """

    name: ClassVar[str] = "colorpipe"
    origin: ClassVar[str] = "this project"
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "distance like CIEDE2000 + categories, then with LSGAN"
    settings_type: ClassVar[type[Settings]] = ColorpipeSettings
    augmentation: ClassVar[Augmentation | None] = CROPS
    fine_tuning: ClassVar[Mapping[str, Any]] = {
        "epochs": 20,
        "learning_rate": 2e-4,
        "size": 160,  # what the weights that ship were trained on last, and color at
    }
    settings: ColorpipeSettings

    def generator(self) -> CompactUNet:
        """Build the U-Net: 7.8 million parameters."""
        return CompactUNet(widths=self.widths, dropout=self.settings.dropout)

    @property
    def widths(self) -> list[int]:
        """The channels of the U-Net's levels."""
        return [self.settings.width * scale for scale in (1, 2, 4, 8, 12)]

    def networks(self) -> dict[str, nn.Module]:
        """Build the U-Net and a PatchGAN on L, a, b."""
        return {
            GENERATOR: self.generator(),
            DISCRIMINATOR: PatchGAN(channels=3, width=48, layers=3, norm="spectral"),
        }

    def category_head(self, categories: int) -> nn.Module | None:
        """Build a linear guess from the innermost level's means; one category needs no guess."""
        if categories < 2 or not self.settings.lambda_category:
            return None
        return nn.Sequential(nn.Dropout(0.3), nn.Linear(self.widths[-1], categories))

    @property
    def multiple(self) -> int:
        """Five halvings."""
        return 32

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Regression on small pictures, on large ones, then with the discriminator."""
        settings = self.settings
        adversarial = round(settings.epochs * settings.adversarial_share)
        early = min(round(settings.epochs * settings.early_share), settings.epochs - adversarial)
        rest = settings.epochs - adversarial - early
        phases = (
            Phase("early", early, adversarial=False, size=settings.early_size),
            Phase("regression", rest, adversarial=False),
            Phase("adversarial", adversarial, adversarial=True),
        )
        return tuple(phase for phase in phases if phase.epochs)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """AdamW for generator and category head, Adam with momentum 0.5 for the discriminator."""
        settings = self.settings
        colorizing = [networks[name] for name in (GENERATOR, CATEGORY_HEAD) if name in networks]
        return {
            GENERATOR: torch.optim.AdamW(
                [weight for network in colorizing for weight in network.parameters()],
                settings.learning_rate,
                weight_decay=settings.weight_decay,
                fused=fused,
            ),
            DISCRIMINATOR: torch.optim.Adam(
                networks[DISCRIMINATOR].parameters(),
                settings.adversarial_rate,
                (0.5, 0.999),
                fused=fused,
            ),
        }

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Warm up over 5%, then fall along a cosine; low and constant in the adversarial phase."""
        if optimizer == DISCRIMINATOR:
            return 1.0
        highest = self.settings.learning_rate
        low = min(self.settings.adversarial_rate, highest) / highest
        if phase.adversarial:
            return low
        progress = self._regression_progress(phase, progress)
        if progress < 0.05:
            return progress / 0.05
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))

    def _regression_progress(self, phase: Phase, progress: float) -> float:
        """Return the part that is done of all epochs without the discriminator, 0 to 1."""
        epochs = [each.epochs for each in self.phases if not each.adversarial]
        before = epochs[0] if phase.name == "regression" and len(epochs) > 1 else 0
        return (before + progress * phase.epochs) / sum(epochs)

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo as gray, some of it aged, and a* and b* from its colors."""
        settings = self.settings
        colors = color.tensor_rgb_to_lab(rgb)
        gray = color.tensor_luma(rgb)
        if settings.luminance:
            chosen = torch.rand(len(rgb), 1, 1, 1, device=rgb.device) < settings.luminance
            gray = torch.where(chosen, color.tensor_gray_of(colors[:, :1]), gray)
        ab = color.tensor_compress_chroma(colors[:, 1:])
        return Batch(x=lab.lightness(aged(gray, settings.aged)), y=ab / SCALE)

    def regression(self, fake: torch.Tensor, batch: Batch, networks: Networks) -> torch.Tensor:
        """Return the loss of what the generator gave, ``fake`` (N, 2, H, W), for ``batch``."""
        del networks
        return distance(fake, batch.y, self.settings.exponent)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """Regression; in the adversarial phase the discriminator first, and then its verdict."""
        del step
        generator = networks[GENERATOR]
        fake, features = generator(batch.x, with_features=True)
        fake = fake.float()
        regression = self.regression(fake, batch, networks)
        losses = {"regression": self.settings.lambda_regression * regression}
        if CATEGORY_HEAD in networks and batch.categories is not None:
            guess = networks[CATEGORY_HEAD](features).float()
            losses["category"] = self.settings.lambda_category * functional.cross_entropy(
                guess, batch.categories
            )
        if phase.adversarial:
            discriminator = networks[DISCRIMINATOR]
            real_verdict = discriminator(lab.picture(batch.x, batch.y))
            fake_verdict = discriminator(lab.picture(batch.x, fake.detach()))
            yield Update(
                DISCRIMINATOR,
                {
                    "real": 0.5 * least_squares(real_verdict, 1.0),
                    "fake": 0.5 * least_squares(fake_verdict, 0.0),
                },
            )
            with frozen(discriminator):
                verdict = discriminator(lab.picture(batch.x, fake))
            losses["adversarial"] = least_squares(verdict, 1.0)
        yield Update(GENERATOR, losses)

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        compressed: torch.Tensor = generator(lab.lightness(luma)).float() * SCALE
        return self.vivid(color.tensor_expand_chroma(compressed))

    def vivid(self, ab: torch.Tensor) -> torch.Tensor:
        """Fade faint colors of ``ab`` (N, 2, H, W) and strengthen the others.

        To be as colorful as photos are, what was learned has to be stronger than the closest guess
        would be. It costs least where colors are known.
        """
        settings = self.settings
        if settings.faint:
            ab = color.tensor_fade_chroma(ab, settings.faint)
        return ab * settings.vividness


def distance(fake: torch.Tensor, real: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return the mean of the distances of colors (N, 2, H, W) to the power of ``exponent``.

    Smooth where they are under about 1 unit. Both are a* and b* with compressed chroma, divided by
    ``SCALE``: where a plain distance is nearly CIEDE2000's.
    """
    squared = (fake - real).square().sum(dim=1)
    return (squared + SMOOTH**2).pow(exponent / 2).mean()
