"""Image Colorization with GANs by Nazeri, Ng and Ebrahimi, with or without its discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.imaging import color
from pipeline.networks.dcgan import PoolingDiscriminator, PoolingUNet
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
    frozen,
)
from pipeline.recipes.shared.losses import cross_entropy


class DcganSettings(Settings):
    """Hyper-parameters of the recipe ``dcgan``: those for Places365."""

    epochs: int = Field(20, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(8, ge=1, description="Photos in a step.")
    size: int = Field(256, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(5e-4, gt=0, description="Adam's learning rate, for both networks.")
    width: int = Field(64, ge=4, description="Filters of the generator's first layer.")
    adversarial: bool = Field(True, description="Whether there is a discriminator.")
    lambda_l1: float = Field(
        100.0, ge=0, description="Weight of the L1 between pictures; the adversarial loss has 1."
    )
    smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="The discriminator's labels are this far from 0 and 1."
    )
    discriminator_every: int = Field(
        2, ge=1, description="The discriminator learns from every such batch."
    )


class Dcgan(Recipe):
    """Gray in, L, a and b out, at 256x256: Nazeri, Ng and Ebrahimi 2018 (arXiv:1803.05400).

    As the paper and its code give it for Places365: U-Net and discriminator with max pooling, the
    discriminator conditioned on the gray picture; the generator maximizes the discriminator's
    mistake and minimizes 100 times the L1; Adam 5e-4 with momentum 0.5, batches of 8, labels 0.1
    and 0.9, the discriminator on every second batch. For CIFAR-10 set size 32, batch_size 128,
    learning_rate 2e-5, lambda_l1 10, smoothing 0 and discriminator_every 1. The paper's baseline,
    the same U-Net by L1 without a discriminator, is the option ``adversarial: false``.

    Where they are silent: five units on each side means five levels of resolution, four poolings
    apart, with the last 1x1 convolution as the fifth decoding unit; two 3x3 convolutions in an
    encoding unit as in a decoding one; a hyperbolic tangent at the end, since L / 50 - 1 and
    ab / 110 lie within -1 and 1; the generator aims at 0.9 too; 20 epochs; weights from
    N(0, 0.02). The discriminator's unit is convolution, batch norm, LeakyReLU, pooling, dropout.
    Lightness is generated, as in the paper, and replaced by the photo's own when colorizing.
    """

    name: ClassVar[str] = "dcgan"
    origin: ClassVar[str] = "Nazeri, Ng, Ebrahimi 2018, arXiv:1803.05400"
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "BCE + L1 on L, a, b"
    settings_type: ClassVar[type[Settings]] = DcganSettings
    augmentation: ClassVar[Augmentation | None] = None
    settings: DcganSettings

    def generator(self) -> nn.Module:
        """Build the U-Net: 31.0 million parameters."""
        return PoolingUNet([self.settings.width * 2**level for level in range(5)])

    def networks(self) -> dict[str, nn.Module]:
        """Build the U-Net and, if there is to be one, the discriminator."""
        networks = {GENERATOR: self.generator()}
        if self.settings.adversarial:
            networks[DISCRIMINATOR] = PoolingDiscriminator(self.settings.size)
        return networks

    @property
    def multiple(self) -> int:
        """Four halvings, and a fifth in the discriminator."""
        return 32

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One, with or without a discriminator."""
        return (Phase("training", self.settings.epochs, self.settings.adversarial),)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Adam with a momentum of 0.5 for every network."""
        rate = self.settings.learning_rate
        return {
            name: torch.optim.Adam(network.parameters(), rate, (0.5, 0.999), fused=fused)
            for name, network in networks.items()
        }

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Lightness of the photo's luma in; L, a and b of its colors out."""
        gray = lab.lightness(color.tensor_luma(rgb))
        colors = color.tensor_rgb_to_lab(rgb)
        scaled = torch.cat([colors[:, :1] / 50 - 1, colors[:, 1:] / lab.AB_SCALE], dim=1)
        return Batch(x=gray, y=scaled)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """The discriminator on every second batch, then the generator against it."""
        fake = networks[GENERATOR](batch.x).float()
        l1 = self.settings.lambda_l1 * functional.l1_loss(fake, batch.y)
        if not phase.adversarial:
            yield Update(GENERATOR, {"l1": l1})
            return
        discriminator = networks[DISCRIMINATOR]
        low, high = self.settings.smoothing, 1 - self.settings.smoothing
        if step % self.settings.discriminator_every == 0:
            real_logits = discriminator(torch.cat([batch.x, batch.y], dim=1))
            fake_logits = discriminator(torch.cat([batch.x, fake.detach()], dim=1))
            yield Update(
                DISCRIMINATOR,
                {
                    "real": cross_entropy(real_logits, high),
                    "fake": cross_entropy(fake_logits, low),
                },
            )
        with frozen(discriminator):
            logits = discriminator(torch.cat([batch.x, fake], dim=1))
        yield Update(GENERATOR, {"l1": l1, "adversarial": cross_entropy(logits, high)})

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        colors: torch.Tensor = generator(lab.lightness(luma))
        return colors[:, 1:].float() * lab.AB_SCALE
