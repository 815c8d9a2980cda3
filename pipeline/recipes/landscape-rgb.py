"""MelikaRad's landscape GAN, on a data set of scraped landscapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import nn
from torch.nn import functional

from pipeline.imaging import color
from pipeline.networks.landscape import SMALLEST, LandscapeDiscriminator, LandscapeGenerator
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


class LandscapeRgbSettings(Settings):
    """Hyper-parameters of the recipe ``landscape-rgb``."""

    epochs: int = Field(200, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step; the page names none.")
    size: int = Field(200, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(5e-4, gt=0, description="Adam's learning rate, for both networks.")
    discriminator: bool = Field(
        True,
        validate_default=True,
        description="Train the discriminator too. The generator does not depend on it: without it"
        " training gives the same, in less time, and pictures may be smaller.",
    )

    @field_validator("discriminator")
    @classmethod
    def _room(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("size", SMALLEST) < SMALLEST:
            raise ValueError(f"false for a size under {SMALLEST}")
        return value


class LandscapeRgb(Recipe):
    """Gray in, RGB out, at 200x200.

    As the page gives it: mean squared error alone for the generator, binary cross-entropy for the
    discriminator, Adam 5e-4 for both, 200 epochs. The generator has no adversarial term: the
    discriminator is trained along with it and has no influence on it. Where the page is silent:
    Keras' defaults (Glorot's initial weights, LeakyReLU 0.3, Adam 0.9 and 0.999) and a batch of 16.
    """

    name: ClassVar[str] = "landscape-rgb"
    origin: ClassVar[str] = "MelikaRad's landscape GAN"
    color_space: ClassVar[ColorSpace] = "RGB"
    objective: ClassVar[str] = "mean squared error; the discriminator has no influence"
    settings_type: ClassVar[type[Settings]] = LandscapeRgbSettings
    augmentation: ClassVar[Augmentation | None] = None
    settings: LandscapeRgbSettings

    def generator(self) -> LandscapeGenerator:
        """Build the generator: 1.4 million parameters."""
        return LandscapeGenerator()

    def networks(self) -> dict[str, nn.Module]:
        """Build both networks; the discriminator has 7.8 million parameters at 200 px."""
        networks: dict[str, nn.Module] = {GENERATOR: self.generator()}
        if self.settings.discriminator:
            networks[DISCRIMINATOR] = LandscapeDiscriminator(self.settings.size)
        return networks

    @property
    def multiple(self) -> int:
        """Any size fits: there is no stride."""
        return 1

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Adam, with the same learning rate for both."""
        rate = self.settings.learning_rate
        return {
            name: torch.optim.Adam(networks[name].parameters(), rate, fused=fused)
            for name in networks
        }

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Luma in, RGB out, both 0 to 1."""
        return Batch(x=color.tensor_luma(rgb), y=rgb)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """The discriminator by binary cross-entropy; the generator by mean squared error alone."""
        del phase, step
        fake = networks[GENERATOR](batch.x).float()
        if DISCRIMINATOR in networks:
            real_logits = networks[DISCRIMINATOR](batch.y)
            fake_logits = networks[DISCRIMINATOR](fake.detach())
            yield Update(
                DISCRIMINATOR,
                {
                    "real": cross_entropy(real_logits, 1.0),
                    "fake": cross_entropy(fake_logits, 0.0),
                },
            )
        yield Update(GENERATOR, {"mse": functional.mse_loss(fake, batch.y)})

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Take a* and b* (N, 2, H, W) of the RGB picture made of ``luma`` (N, 1, H, W), 0 to 1."""
        rgb: torch.Tensor = generator(luma)
        return color.tensor_rgb_to_lab(rgb.float().clamp(0, 1))[:, 1:]
