"""The project's own recipe: colours first by regression, then a short adversarial phase."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline import color
from pipeline.networks.compact_unet import CompactUNet
from pipeline.networks.patchgan import PatchGAN
from pipeline.recipes.base import Batch, ColorSpace, Losses, Phase, Recipe, Settings
from pipeline.recipes.losses import least_squares

AB_SCALE = 110.0
"""a* and b* of sRGB lie within about -108 and 99."""


class ColorpipeSettings(Settings):
    """Hyper-parameters of the recipe ``colorpipe``."""

    epochs: int = Field(60, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training crops in pixels.")
    learning_rate: float = Field(1e-3, gt=0, description="The generator's highest learning rate.")
    ema: float = Field(
        0.99, ge=0, lt=1, description="Decay per step of the averaged generator; 0 keeps the last."
    )
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
    augmented: ClassVar[bool] = True
    settings: ColorpipeSettings

    def generator(self) -> CompactUNet:
        """Build the U-Net: 7.6 million parameters."""
        return CompactUNet()

    def discriminator(self) -> PatchGAN:
        """Build the PatchGAN on L, a, b."""
        return PatchGAN(channels=3, width=48, layers=3, spectral=True)

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

    def optimizers(
        self, generator: nn.Module, discriminator: nn.Module, fused: bool
    ) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """AdamW for the generator, Adam with momentum 0.5 for the discriminator."""
        settings = self.settings
        return (
            torch.optim.AdamW(
                generator.parameters(), settings.learning_rate, weight_decay=0.01, fused=fused
            ),
            torch.optim.Adam(
                discriminator.parameters(), settings.adversarial_rate, (0.5, 0.999), fused=fused
            ),
        )

    def rate_factor(self, phase: Phase, progress: float) -> float:
        """Warm up over 5%, then fall along a cosine; low and constant in the adversarial phase."""
        low = self.settings.adversarial_rate / self.settings.learning_rate
        if phase.adversarial:
            return low
        if progress < 0.05:
            return progress / 0.05
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma, a* and b* from its colours."""
        ab = color.tensor_rgb_to_lab(rgb)[:, 1:] / AB_SCALE
        return Batch(x=self._input(color.tensor_luma(rgb)), y=ab)

    def generator_losses(
        self, phase: Phase, batch: Batch, fake: torch.Tensor, discriminator: nn.Module
    ) -> Losses:
        """Regression; in the adversarial phase also what the discriminator holds against it."""
        # Not norm(): on a CPU it costs as much as half of the network.
        chroma = batch.y.square().sum(dim=1, keepdim=True).sqrt()
        weight = 1 + self.settings.chroma_weight * 2 * chroma
        error = functional.smooth_l1_loss(fake, batch.y, reduction="none", beta=0.05)
        regression = self.settings.lambda_regression * (weight * error).mean()
        if not phase.adversarial:
            return {"regression": regression}
        verdict = discriminator(torch.cat([batch.x, fake], dim=1)).float()
        return {
            "regression": regression,
            "adversarial": least_squares(verdict, 1.0),
        }

    def discriminator_losses(
        self, batch: Batch, fake: torch.Tensor, discriminator: nn.Module
    ) -> Losses:
        """Least squares against ones for the photos' colours and zeros for the generator's."""
        real = discriminator(torch.cat([batch.x, batch.y], dim=1)).float()
        made = discriminator(torch.cat([batch.x, fake], dim=1)).float()
        return {"real": 0.5 * least_squares(real, 1.0), "fake": 0.5 * least_squares(made, 0.0)}

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(self._input(luma))
        return ab.float() * AB_SCALE

    @staticmethod
    def _input(luma: torch.Tensor) -> torch.Tensor:
        return color.tensor_lightness(luma) / 50 - 1
