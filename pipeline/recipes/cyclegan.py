"""The CycleGAN of the comparison of pix2pix, CycleGAN and U-Net: learns from unpaired photos."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.image_pool import ImagePool
from pipeline.networks.patchgan import PatchGAN
from pipeline.networks.skip_unet import SkipUNet
from pipeline.recipes.shared import lab
from pipeline.recipes.shared.base import (
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
from pipeline.recipes.shared.losses import least_squares
from pipeline.recipes.shared.schedules import halfway_then_down


class CycleGANSettings(Settings):
    """Hyper-parameters of the recipe ``cyclegan``."""

    epochs: int = Field(200, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(1, ge=1, description="Photos in a step.")
    size: int = Field(256, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(2e-4, gt=0, description="Adam's learning rate, for all networks.")
    halvings: int = Field(
        8, ge=5, le=10, description="Stride-2 layers; 8 bring 256 px down to a single one."
    )
    width: int = Field(64, ge=4, description="Filters of the generator's first layer.")
    lambda_cycle: float = Field(
        10.0, ge=0, description="Weight of the L1 after a whole cycle; the adversarial loss has 1."
    )
    pool: int = Field(
        50, ge=0, le=1000, description="Generated pictures that a discriminator is shown again."
    )


class PhotoGenerator(SkipUNet):
    """The U-Net with its input in front: lightness (N, 1, H, W) to the photo (N, 3, H, W), Lab."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the color photo that has the lightness ``x``."""
        return lab.picture(x, super().forward(x))


class CycleGAN(Recipe):
    """Lightness to a color photo and back, at 256x256, unpaired: CycleGAN (Zhu et al. 2017).

    Two generators, two 70x70 PatchGANs. As the comparison's page gives it: pix2pix's U-Net, least
    squares, L1 after a whole cycle. Where it is silent, the paper: weight 10 on the cycle, no
    identity loss (the channel counts differ), pools of 50, Adam 2e-4 with momentum 0.5, constant
    for half of the epochs and then linearly to 0, 200 epochs, batches of one, instance norm, the
    discriminators' losses halved, the generators first in every step; and, as in the authors' code,
    no dropout.

    The page's generator gives a and b of a lightness; a color photo is all three. That is what the
    color discriminator sees, what the way back starts from, and what has to be the same after a
    whole cycle. Taken without their lightness, a and b would be a domain of their own, in which no
    loss says which color belongs where.
    """

    name: ClassVar[str] = "cyclegan"
    origin: ClassVar[str] = (
        "pix2pix/CycleGAN/U-Net comparison; Zhu, Park, Isola, Efros 2017, arXiv:1703.10593"
    )
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "LSGAN + L1 after a cycle, both ways"
    settings_type: ClassVar[type[Settings]] = CycleGANSettings
    augmentation: ClassVar[Augmentation | None] = JITTER
    paired: ClassVar[bool] = False
    settings: CycleGANSettings

    def generator(self) -> nn.Module:
        """Build the generator of colors: 54.4 million parameters with eight halvings."""
        return PhotoGenerator(1, 2, **self._unet)

    def networks(self) -> dict[str, nn.Module]:
        """Build both generators, both discriminators and what these remember."""
        side, pool = self.settings.size, self.settings.pool
        return {
            GENERATOR: self.generator(),
            "gray_generator": SkipUNet(3, 1, **self._unet),
            "color_discriminator": PatchGAN(channels=3, norm="instance"),
            "gray_discriminator": PatchGAN(channels=1, norm="instance"),
            "color_pool": ImagePool(pool, (3, side, side)),
            "gray_pool": ImagePool(pool, (1, side, side)),
        }

    @property
    def _unet(self) -> dict[str, Any]:
        width, halvings = self.settings.width, self.settings.halvings
        return {"width": width, "halvings": halvings, "norm": "instance", "dropout": 0.0}

    @property
    def multiple(self) -> int:
        """As often halved as the settings say."""
        return int(2**self.settings.halvings)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Make one Adam for both generators and one for both discriminators, as the authors do."""
        members = {
            GENERATOR: (GENERATOR, "gray_generator"),
            DISCRIMINATOR: ("color_discriminator", "gray_discriminator"),
        }
        return {
            name: torch.optim.Adam(
                chain.from_iterable(networks[member].parameters() for member in both),
                self.settings.learning_rate,
                (0.5, 0.999),
                fused=fused,
            )
            for name, both in members.items()
        }

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Constant for half of the run, then linearly to 0."""
        del optimizer, phase
        return halfway_then_down(progress)

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take L* from the photo's luma; for the color photo, a* and b* with it."""
        batch = lab.encode(rgb)
        return Batch(batch.x, lab.picture(batch.x, batch.y))

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """Both generators by one objective, then both discriminators."""
        del phase, step
        to_color, to_gray = networks[GENERATOR], networks["gray_generator"]
        color_critic = networks["color_discriminator"]
        gray_critic = networks["gray_discriminator"]
        weight = self.settings.lambda_cycle

        fake_color, fake_gray = to_color(batch.x).float(), to_gray(batch.y).float()
        with frozen(color_critic, gray_critic):
            losses = {
                "adversarial_color": least_squares(color_critic(fake_color), 1.0),
                "adversarial_gray": least_squares(gray_critic(fake_gray), 1.0),
                "cycle_gray": weight * functional.l1_loss(to_gray(fake_color).float(), batch.x),
                "cycle_color": weight * functional.l1_loss(to_color(fake_gray).float(), batch.y),
            }
        yield Update(GENERATOR, losses)

        old_color = networks["color_pool"](fake_color)
        old_gray = networks["gray_pool"](fake_gray)
        yield Update(
            DISCRIMINATOR,
            {
                "real_color": 0.5 * least_squares(color_critic(batch.y), 1.0),
                "fake_color": 0.5 * least_squares(color_critic(old_color), 0.0),
                "real_gray": 0.5 * least_squares(gray_critic(batch.x), 1.0),
                "fake_gray": 0.5 * least_squares(gray_critic(old_gray), 0.0),
            },
        )

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        photo: torch.Tensor = generator(lab.lightness(luma))
        return photo[:, 1:].float() * lab.AB_SCALE
