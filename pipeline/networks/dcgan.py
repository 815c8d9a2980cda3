"""Generator and discriminator of Nazeri, Ng and Ebrahimi's Image Colorization with GANs.

Source: arXiv:1803.05400 (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from pipeline.networks.initialization import normal_


def _unit(channels_in: int, channels_out: int, slope: float) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm; a slope of 0 makes the activation ReLU."""
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers += [
            nn.Conv2d(channels, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(slope, inplace=True),
        ]
    return nn.Sequential(*layers)


class PoolingUNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) that halves by max pooling.

    Input (N, 1, H, W), output (N, 3, H, W) within -1 and 1; H and W multiples of ``multiple``.

    Args:
        widths: channels of the encoding units, between which the size is halved.
        channels_out: channels of the output: 3 for Lab.
    """

    def __init__(
        self, widths: Sequence[int] = (64, 128, 256, 512, 1024), channels_out: int = 3
    ) -> None:
        super().__init__()
        self.multiple = 2 ** (len(widths) - 1)
        self.downs = nn.ModuleList(
            _unit(inner, outer, 0.2) for inner, outer in pairwise((1, *widths))
        )
        steps = list(pairwise(reversed(widths)))
        self.halvers = nn.ModuleList(nn.Conv2d(inner, outer, 2) for inner, outer in steps)
        self.ups = nn.ModuleList(_unit(2 * outer, outer, 0.0) for _, outer in steps)
        self.head = nn.Sequential(nn.Conv2d(widths[0], channels_out, 1), nn.Tanh())
        normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map gray to Lab; shapes as the class says."""
        levels = []
        for index, down in enumerate(self.downs):
            x = down(functional.max_pool2d(x, 2) if index else x)
            levels.append(x)
        x = levels.pop()
        for halve, up in zip(self.halvers, self.ups, strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            # A 2x2 kernel has no middle; Keras' "same" pads it below and to the right.
            x = halve(functional.pad(x, (0, 1, 0, 1)))
            x = up(torch.cat([x, levels.pop()], dim=1))
        lab: torch.Tensor = self.head(x)
        return lab


class PoolingDiscriminator(nn.Module):
    """Color and gray together (N, 4, ``size``, ``size``) to a logit a picture (N, 1).

    Each unit: 3x3 convolution, batch norm, LeakyReLU 0.2, 2x2 max pooling, dropout; then one
    convolution over all that is left. The paper's last sigmoid is part of the loss here.

    Args:
        size: side of the pictures, a multiple of 32.
        channels: channels of the picture and of its condition together.
        widths: channels of the units.
        dropout: rate in every unit.
    """

    def __init__(
        self,
        size: int = 256,
        channels: int = 4,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2, inplace=True),
                nn.MaxPool2d(2),
                nn.Dropout(dropout),
            ]
            channels = width
        self.units = nn.Sequential(*layers)
        self.last = nn.Conv2d(channels, 1, size // 2 ** len(widths))
        normal_(self)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return a logit a picture."""
        logit: torch.Tensor = self.last(self.units(picture))
        return logit.flatten(1)
