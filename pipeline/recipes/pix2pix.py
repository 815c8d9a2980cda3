"""System 3, paired: pix2pix, and the same generator without a discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.patchgan import PatchGAN
from pipeline.networks.skip_unet import SkipUNet
from pipeline.recipes import lab
from pipeline.recipes.base import (
    DISCRIMINATOR,
    GENERATOR,
    JITTER,
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


class UNetSettings(Settings):
    """Hyper-parameters of the recipe ``unet``, and of the others of pix2pix's generator."""

    epochs: int = Field(200, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(256, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(2e-4, gt=0, description="Adam's learning rate, for all networks.")
    halvings: int = Field(
        8, ge=5, le=10, description="Stride-2 layers; 8 bring 256 px down to a single one."
    )
    width: int = Field(64, ge=4, description="Filters of the generator's first layer.")
    lambda_l1: float = Field(100.0, ge=0, description="Weight of the L1 between colors.")


class Pix2PixSettings(UNetSettings):
    """Hyper-parameters of the recipe ``pix2pix``."""

    lambda_l1: float = Field(
        100.0, ge=0, description="Weight of the L1 between colors; the adversarial loss has 1."
    )


def halfway_then_down(progress: float) -> float:
    """Return the rate of pix2pix and CycleGAN: constant for one half, then linearly to 0."""
    return min(1.0, 2 * (1 - progress))


class UNet(Recipe):
    """Lightness in, a and b out, at 256x256: pix2pix's generator trained by L1 alone.

    The page's third method. Where it is silent, as in ``pix2pix``.
    """

    name: ClassVar[str] = "unet"
    origin: ClassVar[str] = "system 3's baseline: pix2pix without a discriminator"
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "L1"
    settings_type: ClassVar[type[Settings]] = UNetSettings
    augmentation: ClassVar[Augmentation | None] = JITTER
    settings: UNetSettings

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

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Constant for half of the run, then linearly to 0."""
        del optimizer, phase
        return halfway_then_down(progress)

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma, a* and b* from its colors."""
        return lab.encode(rgb)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """L1 between predicted and real colors."""
        del phase, step
        fake = networks[GENERATOR](batch.x).float()
        yield Update(GENERATOR, {"l1": self.settings.lambda_l1 * functional.l1_loss(fake, batch.y)})

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(lab.lightness(luma))
        return ab.float() * lab.AB_SCALE


class Pix2Pix(UNet):
    """Lightness in, a and b out, at 256x256: pix2pix (Isola et al. 2017) with a 70x70 PatchGAN.

    As the page gives it: U-Net from 256x256 down to 1x1, least squares against maps of ones and
    zeros, L1 between colors. Where the page is silent, the paper: Adam 2e-4 with momentum 0.5,
    constant for half of the epochs and then linearly to 0, 200 epochs, L1 weighted by 100, the
    discriminator's loss halved and conditioned on the input, weights from N(0, 0.02), jitter and
    mirroring. Batches are of 16 and not of one, which batch norm's running means, needed for
    results that do not depend on the batch, cannot be had from.
    """

    name: ClassVar[str] = "pix2pix"
    origin: ClassVar[str] = "system 3; Isola, Zhu, Zhou, Efros 2017, arXiv:1611.07004"
    objective: ClassVar[str] = "LSGAN + L1"
    settings_type: ClassVar[type[Settings]] = Pix2PixSettings
    settings: Pix2PixSettings

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
        """The discriminator on real and fake colors, then the generator against its verdict."""
        del step
        generator, discriminator = networks[GENERATOR], networks[DISCRIMINATOR]
        fake = generator(batch.x).float()
        l1 = self.settings.lambda_l1 * functional.l1_loss(fake, batch.y)
        if not phase.adversarial:
            yield Update(GENERATOR, {"l1": l1})
            return
        real_verdict = discriminator(lab.picture(batch.x, batch.y))
        fake_verdict = discriminator(lab.picture(batch.x, fake.detach()))
        yield Update(
            DISCRIMINATOR,
            {
                "real": 0.5 * self.adversarial_loss(real_verdict, 1.0),
                "fake": 0.5 * self.adversarial_loss(fake_verdict, 0.0),
            },
        )
        with frozen(discriminator):
            verdict = discriminator(lab.picture(batch.x, fake))
        yield Update(GENERATOR, {"l1": l1, "adversarial": self.adversarial_loss(verdict, 1.0)})

    @staticmethod
    def adversarial_loss(logits: torch.Tensor, target: float) -> torch.Tensor:
        """Least squares (Mao et al. 2017)."""
        return least_squares(logits, target)
