"""What the recipes of pix2pix's U-Net share: learning from pairs of a photo and its gray copy.

``unet`` trains it by L1 alone; ``pix2pix`` and the recipes of ``coco_cgan`` add a PatchGAN.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.patchgan import PatchGAN
from pipeline.networks.skip_unet import SkipUNet
from pipeline.recipes.shared import lab
from pipeline.recipes.shared.base import (
    DISCRIMINATOR,
    GENERATOR,
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


class PairedSettings(Settings):
    """Hyper-parameters of all recipes with this U-Net."""

    epochs: int = Field(200, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(256, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(2e-4, gt=0, description="Adam's learning rate, for all networks.")
    halvings: int = Field(
        8, ge=5, le=10, description="Stride-2 layers; 8 bring 256 px down to a single one."
    )
    width: int = Field(64, ge=4, description="Filters of the generator's first layer.")
    lambda_l1: float = Field(
        100.0,
        ge=0,
        description="Weight of the L1 between colors; an adversarial loss has weight 1.",
    )


class PairedUNet(Recipe):
    """The U-Net trained by the L1 between predicted and real colors."""

    color_space: ClassVar[ColorSpace] = "Lab"
    settings: PairedSettings

    def generator(self) -> nn.Module:
        """Build the U-Net: 54.4 million parameters with eight halvings."""
        return SkipUNet(width=self.settings.width, halvings=self.settings.halvings)

    def networks(self) -> dict[str, nn.Module]:
        """Build the generator, which has no opponent."""
        return {GENERATOR: self.generator()}

    @property
    def multiple(self) -> int:
        """As often halved as the settings say."""
        return int(2**self.settings.halvings)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One, without a discriminator."""
        return (Phase("training", self.settings.epochs, adversarial=False),)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Adam with a momentum of 0.5 for every network."""
        rate = self.settings.learning_rate
        return {
            name: torch.optim.Adam(network.parameters(), rate, (0.5, 0.999), fused=fused)
            for name, network in networks.items()
        }

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma, a* and b* from its colors."""
        return lab.encode(rgb)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """L1 between predicted and real colors."""
        del phase, step
        fake = networks[GENERATOR](batch.x).float()
        yield Update(GENERATOR, {"l1": self._l1(fake, batch.y)})

    def _l1(self, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        return self.settings.lambda_l1 * functional.l1_loss(fake, real)

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(lab.lightness(luma))
        return ab.float() * lab.AB_SCALE


class PairedGAN(PairedUNet):
    """The U-Net against a 70x70 PatchGAN that sees lightness and colors together."""

    def networks(self) -> dict[str, nn.Module]:
        """Build the generator and the PatchGAN: 54.4 and 2.8 million parameters."""
        return {GENERATOR: self.generator(), DISCRIMINATOR: PatchGAN(channels=3)}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One, both networks in turn."""
        return (Phase("training", self.settings.epochs, adversarial=True),)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """The discriminator on real and fake colors, then the generator against it."""
        del step
        generator, discriminator = networks[GENERATOR], networks[DISCRIMINATOR]
        fake = generator(batch.x).float()
        l1 = self._l1(fake, batch.y)
        if not phase.adversarial:
            yield Update(GENERATOR, {"l1": l1})
            return
        real_logits = discriminator(lab.picture(batch.x, batch.y))
        fake_logits = discriminator(lab.picture(batch.x, fake.detach()))
        yield Update(
            DISCRIMINATOR,
            {
                "real": 0.5 * self.adversarial_loss(real_logits, 1.0),
                "fake": 0.5 * self.adversarial_loss(fake_logits, 0.0),
            },
        )
        with frozen(discriminator):
            logits = discriminator(lab.picture(batch.x, fake))
        yield Update(GENERATOR, {"l1": l1, "adversarial": self.adversarial_loss(logits, 1.0)})

    @staticmethod
    @abstractmethod
    def adversarial_loss(logits: torch.Tensor, target: float) -> torch.Tensor:
        """Return the loss of the discriminator's ``logits`` against ``target``, 1 for real."""
