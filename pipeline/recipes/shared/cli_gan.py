"""What the recipes of Helwazir's CLI-GAN share: two generators trained in the same way.

Source: Helwazir/CLI-GAN-Image-Colorization, a command line that colors with either of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.dilated_unet import StridedDiscriminator
from pipeline.recipes.shared import lab
from pipeline.recipes.shared.base import (
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
)
from pipeline.recipes.shared.losses import cross_entropy


class CliGanSettings(Settings):
    """Hyper-parameters of both recipes."""

    epochs: int = Field(350, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(64, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(5e-4, gt=0, description="Adam's learning rate, for both networks.")
    label_noise: float = Field(
        0.1, ge=0, le=1, description="How far from 0 and 1 the discriminator's labels may be."
    )


class CliGan(Recipe):
    """Lightness in, a and b out, at 128x128, by mean squared error.

    The generator has no adversarial term: the discriminator is trained along with it and has no
    influence on it.
    """

    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "mean squared error; the discriminator has no influence"
    augmentation: ClassVar[Augmentation | None] = None
    settings: CliGanSettings

    def networks(self) -> dict[str, nn.Module]:
        """Build the generator and the page's discriminator, which has 2.8 million parameters."""
        return {GENERATOR: self.generator(), DISCRIMINATOR: StridedDiscriminator()}

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Adam, with the same learning rate for both."""
        rate = self.settings.learning_rate
        return {
            name: torch.optim.Adam(networks[name].parameters(), rate, fused=fused)
            for name in (GENERATOR, DISCRIMINATOR)
        }

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma, a* and b* from its colors."""
        return lab.encode(rgb)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """The discriminator by binary cross-entropy; the generator by mean squared error alone."""
        del phase, step
        fake = networks[GENERATOR](batch.x).float()
        real_logits = networks[DISCRIMINATOR](lab.picture(batch.x, batch.y))
        fake_logits = networks[DISCRIMINATOR](lab.picture(batch.x, fake.detach()))
        noise = self.settings.label_noise
        yield Update(
            DISCRIMINATOR,
            {
                "real": cross_entropy(real_logits, 1 - noise * _uniform_like(real_logits)),
                "fake": cross_entropy(fake_logits, noise * _uniform_like(fake_logits)),
            },
        )
        yield Update(GENERATOR, {"mse": functional.mse_loss(fake, batch.y)})

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(lab.lightness(luma))
        return ab.float() * lab.AB_SCALE


def _uniform_like(logits: torch.Tensor) -> torch.Tensor:
    return torch.rand_like(logits, dtype=torch.float32)
