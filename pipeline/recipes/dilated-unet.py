"""Generator 0 of Helwazir's CLI-GAN: a U-Net whose convolutions are dilated."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from pipeline.networks.dilated_unet import DilatedUNet
from pipeline.recipes.shared.base import Settings
from pipeline.recipes.shared.cli_gan import CliGan, CliGanSettings


class DilatedUNetSettings(CliGanSettings):
    """Hyper-parameters of the recipe ``dilated-unet``."""

    width: int = Field(32, ge=4, description="Filters of the generator's first block.")


class DilatedUNetRecipe(CliGan):
    """Lightness in, a and b out, at 128x128: generator 0.

    As the page gives it: mean squared error alone for the generator, binary cross-entropy for the
    discriminator, batches of 64, 350 epochs, weights from N(0, 0.02).

    Page and code differ on dropout: "all but the last three" of its six blocks against the first
    four. They agree if the last transposed convolution counts as a block, as it does here.
    Where both are silent: the bottleneck halves once more, as six doubling blocks and the last
    layer need; the discriminator sees lightness and color together; Adam 5e-4 and labels off by
    up to 0.1 as in Panchal's article, which generator 1 comes from; Adam's other settings and
    batch norm's as PyTorch has them; a and b over 110.
    """

    name: ClassVar[str] = "dilated-unet"
    origin: ClassVar[str] = "Helwazir's CLI-GAN: generator 0"
    settings_type: ClassVar[type[Settings]] = DilatedUNetSettings
    settings: DilatedUNetSettings

    def generator(self) -> nn.Module:
        """Build the generator: 39.1 million parameters."""
        return DilatedUNet([self.settings.width * scale for scale in (1, 2, 4, 8, 16, 16)])

    @property
    def multiple(self) -> int:
        """Seven halvings."""
        return 128
