"""System 2: Helwazir/CLI-GAN-Image-Colorization, a command line over two generators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.networks.dilated_unet import DilatedUNet, StridedDiscriminator
from pipeline.networks.landscape import LandscapeGenerator
from pipeline.recipes import lab
from pipeline.recipes.base import (
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
from pipeline.recipes.losses import cross_entropy


class HeartbeatSettings(Settings):
    """Hyper-parameters of the recipe ``heartbeat``, and of both recipes of the system."""

    epochs: int = Field(350, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(64, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(5e-4, gt=0, description="Adam's learning rate, for both networks.")
    label_noise: float = Field(
        0.1, ge=0, le=1, description="How far from 0 and 1 the discriminator's labels may be."
    )


class DilatedUNetSettings(HeartbeatSettings):
    """Hyper-parameters of the recipe ``dilated-unet``."""

    width: int = Field(32, ge=4, description="Filters of the generator's first block.")


class _CliGan(Recipe):
    """What both generators of the system are trained by."""

    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "mean squared error; the discriminator's BCE has no say"
    augmentation: ClassVar[Augmentation | None] = None
    settings: HeartbeatSettings

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
        real_verdict = networks[DISCRIMINATOR](lab.picture(batch.x, batch.y))
        fake_verdict = networks[DISCRIMINATOR](lab.picture(batch.x, fake.detach()))
        noise = self.settings.label_noise
        yield Update(
            DISCRIMINATOR,
            {
                "real": cross_entropy(real_verdict, 1 - noise * _uniform_like(real_verdict)),
                "fake": cross_entropy(fake_verdict, noise * _uniform_like(fake_verdict)),
            },
        )
        yield Update(GENERATOR, {"mse": functional.mse_loss(fake, batch.y)})

    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""
        ab: torch.Tensor = generator(lab.lightness(luma))
        return ab.float() * lab.AB_SCALE


class DilatedUNetRecipe(_CliGan):
    """Lightness in, a and b out, at 128x128: generator 0.

    As the page gives it: mean squared error alone for the generator, binary cross-entropy for the
    discriminator, batches of 64, 350 epochs, weights from N(0, 0.02). The generator has no
    adversarial term, so that the discriminator is trained beside it without a say.

    Page and code differ on dropout: "all but the last three" of its six blocks against the first
    four. They agree if the last transposed convolution counts as a block, which is taken here.
    Where both are silent: the bottleneck halves once more, as six doubling blocks and the last
    layer need; the discriminator sees lightness and color together; Adam 5e-4 and labels off by
    up to 0.1 as in Panchal's article, which the system's other generator comes from; Adam's other
    settings and batch norm's as PyTorch has them; a and b over 110.
    """

    name: ClassVar[str] = "dilated-unet"
    origin: ClassVar[str] = "Helwazir/CLI-GAN-Image-Colorization, generator 0"
    settings_type: ClassVar[type[Settings]] = DilatedUNetSettings
    settings: DilatedUNetSettings

    def generator(self) -> nn.Module:
        """Build the generator: 39.1 million parameters."""
        return DilatedUNet([self.settings.width * scale for scale in (1, 2, 4, 8, 16, 16)])

    @property
    def multiple(self) -> int:
        """Seven halvings."""
        return 128


class Heartbeat(_CliGan):
    """Lightness in, a and b out, at 128x128: generator 1.

    The generator of Panchal's article, as in ``landscape-rgb``, changed to two channels; the last
    layer is a hyperbolic tangent, since the article's ReLU could give no negative a or b. All else
    is as in ``dilated-unet``, except for the initial weights, which are Keras' as in the article.
    """

    name: ClassVar[str] = "heartbeat"
    origin: ClassVar[str] = "Helwazir/CLI-GAN-Image-Colorization, generator 1"
    settings_type: ClassVar[type[Settings]] = HeartbeatSettings

    def generator(self) -> nn.Module:
        """Build the generator: 1.4 million parameters."""
        return LandscapeGenerator(channels_out=2)

    @property
    def multiple(self) -> int:
        """Any size will do: there is no stride."""
        return 1


def _uniform_like(logits: torch.Tensor) -> torch.Tensor:
    return torch.rand_like(logits, dtype=torch.float32)
