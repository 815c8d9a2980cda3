"""Generator 1 of Helwazir's CLI-GAN: the one of Panchal's article, "heartbeat"."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from pipeline.networks.landscape import LandscapeGenerator
from pipeline.recipes.shared.base import Settings
from pipeline.recipes.shared.cli_gan import CliGan, CliGanSettings


class Heartbeat(CliGan):
    """Lightness in, a and b out, at 128x128: generator 1.

    The generator of Panchal's article, as in ``landscape-rgb``, changed to two channels; the last
    layer is a hyperbolic tangent, since the article's ReLU could give no negative a or b. All else
    is as in ``dilated-unet``, except for the initial weights, which are Keras' as in the article.
    """

    name: ClassVar[str] = "heartbeat"
    origin: ClassVar[str] = "Helwazir's CLI-GAN: generator 1, Panchal's heartbeat"
    settings_type: ClassVar[type[Settings]] = CliGanSettings

    def generator(self) -> nn.Module:
        """Build the generator: 1.4 million parameters."""
        return LandscapeGenerator(channels_out=2)

    @property
    def multiple(self) -> int:
        """Any size fits: there is no stride."""
        return 1
