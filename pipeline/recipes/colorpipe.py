"""The project's own recipe: colours first by regression, then a short adversarial phase."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.compact_unet import CompactUNet
from pipeline.networks.patchgan import PatchGAN
from pipeline.recipes import lab
from pipeline.recipes.base import (
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
from pipeline.recipes.losses import least_squares


class ColorpipeSettings(Settings):
    """Hyper-parameters of the recipe ``colorpipe``."""

    epochs: int = Field(60, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training crops in pixels.")
    learning_rate: float = Field(1e-3, gt=0, description="The generator's highest learning rate.")
    ema: float = Field(
        0.99, ge=0, lt=1, description="Decay per step of the averaged generator; 0 keeps the last."
    )
    width: int = Field(32, ge=4, description="Filters of the generator's first layer.")
    adversarial_share: float = Field(
        0.15, ge=0, le=1, description="The part of the epochs that is adversarial, at the end."
    )
    adversarial_rate: float = Field(
        1e-4, gt=0, description="Both learning rates in the adversarial phase."
    )
    lambda_regression: float = Field(
        30.0, ge=0, description="Weight of the regression; the adversarial loss has weight 1."
    )
    chroma_weight: float = Field(
        2.0, ge=0, description="How much more a pixel counts for each 0.5 of its chroma / 110."
    )


class Colorpipe(Recipe):
    """Lab, a compact U-Net and a PatchGAN.

    Input is L* of the neutral gray of the photo's luma, which is all that a black-and-white photo
    gives; output are a* and b*, both scaled to about -1 to 1. The regression is a smooth L1 in
    which colourful pixels weigh more, since most pixels are nearly gray and would make the answer
    gray-brown. The adversarial phase is short, at the end, after NoGAN (DeOldify): by then the
    generator's colours are in the right places and only timid.
    """

    name: ClassVar[str] = "colorpipe"
    origin: ClassVar[str] = "this project"
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "smooth L1 weighted by chroma, then LSGAN + smooth L1"
    settings_type: ClassVar[type[Settings]] = ColorpipeSettings
    augmentation: ClassVar[Augmentation | None] = CROPS
    fine_tuning: ClassVar[Mapping[str, Any]] = {"epochs": 20, "learning_rate": 2e-4}
    settings: ColorpipeSettings

    def generator(self) -> CompactUNet:
        """Build the U-Net: 7.8 million parameters."""
        return CompactUNet(widths=[self.settings.width * scale for scale in (1, 2, 4, 8, 12)])

    def networks(self) -> dict[str, nn.Module]:
        """Build the U-Net and a PatchGAN on L, a, b."""
        return {
            GENERATOR: self.generator(),
            DISCRIMINATOR: PatchGAN(channels=3, width=48, layers=3, norm="spectral"),
        }

    @property
    def multiple(self) -> int:
        """Five halvings."""
        return 32

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Regression, then the last ``adversarial_share`` of the epochs with the discriminator."""
        adversarial = round(self.settings.epochs * self.settings.adversarial_share)
        phases = (
            Phase("regression", self.settings.epochs - adversarial, adversarial=False),
            Phase("adversarial", adversarial, adversarial=True),
        )
        return tuple(phase for phase in phases if phase.epochs)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """AdamW for the generator, Adam with momentum 0.5 for the discriminator."""
        settings = self.settings
        return {
            GENERATOR: torch.optim.AdamW(
                networks[GENERATOR].parameters(),
                settings.learning_rate,
                weight_decay=0.01,
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
        low = self.settings.adversarial_rate / self.settings.learning_rate
        if phase.adversarial:
            return low
        if progress < 0.05:
            return progress / 0.05
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma, a* and b* from its colours."""
        return lab.encode(rgb)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """Regression; in the adversarial phase the discriminator first, and then its verdict."""
        del step
        generator, discriminator = networks[GENERATOR], networks[DISCRIMINATOR]
        fake = generator(batch.x).float()
        losses = {"regression": self.regression(fake, batch.y)}
        if phase.adversarial:
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

    def regression(self, fake: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
        """Return the smooth L1 between colours (N, 2, H, W), weighted by the photo's chroma."""
        # Not norm(): on a CPU it costs as much as half of the network.
        chroma = ab.square().sum(dim=1, keepdim=True).sqrt()
        weight = 1 + self.settings.chroma_weight * 2 * chroma
        error = functional.smooth_l1_loss(fake, ab, reduction="none", beta=0.05)
        return self.settings.lambda_regression * (weight * error).mean()

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(lab.lightness(luma))
        return ab.float() * lab.AB_SCALE
