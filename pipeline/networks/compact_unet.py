"""The generator of the recipe ``colorpipe``: a U-Net made small and quick for CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, overload

import torch
from torch import nn
from torch.nn import functional

from pipeline.networks.initialization import kaiming_


def convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution that continues the picture beyond its edges.

    With zeros there, a small network takes the edge for a thing in the photo and frames skies in
    brown.
    """
    return nn.Conv2d(
        channels_in, channels_out, 3, stride, padding=1, bias=False, padding_mode="replicate"
    )


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(
            convolution(channels_in, channels_out, stride),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and an identity past them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(convolution(channels, channels), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return functional.relu(x + self.second(self.first(x)), inplace=True)


class GlobalContext(nn.Module):
    """Adds what the whole picture shows to every position (after Iizuka et al. 2016, section 3).

    The mean and the maximum over all positions go through two dense layers and are added to each
    position: grass far from any sky is green for what else is in the photo.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(2 * channels, channels // 2),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 2, channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) to the same shape."""
        context = self.dense(torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1))
        return torch.add(x, context[:, :, None, None])


class CompactUNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with a stride-2 stem, residual blocks and global context.

    Input (N, ``channels_in``, H, W), output (N, ``channels_out``, H, W); H and W multiples of
    ``multiple``. All layers work at half the size or less, where color, which the eye sees at low
    resolution only, loses nothing and a CPU wins a factor of four; the output is brought up
    bilinearly. Skips are added, not concatenated: half the arithmetic of the widest layers.

    Args:
        channels_in: channels of the input: 1 for lightness.
        channels_out: channels of the output: 2 for a* and b*.
        widths: channels at 1/2, 1/4, 1/8 ... of the input's size.
        dropout: the share of the innermost channels left out in training, whole (Tompson et al.
            2015), and half that share one level further out.
    """

    def __init__(
        self,
        channels_in: int = 1,
        channels_out: int = 2,
        widths: Sequence[int] = (32, 64, 128, 256, 384),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        stem = nn.Sequential(
            nn.Conv2d(
                channels_in, widths[0], 4, 2, padding=1, bias=False, padding_mode="replicate"
            ),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
            ConvBlock(widths[0], widths[0]),
        )
        downs = [
            nn.Sequential(ConvBlock(outer, inner, stride=2), ResidualBlock(inner))
            for outer, inner in pairwise(widths)
        ]
        self.encoder = nn.ModuleList([stem, *downs])
        self.context = GlobalContext(widths[-1])
        self.drop_innermost = nn.Dropout2d(dropout)
        self.drop_next = nn.Dropout2d(dropout / 2)
        # From the inside out: each brings the level below to the width of the level above it.
        self.reducers = nn.ModuleList(
            ConvBlock(inner, outer) for outer, inner in reversed(list(pairwise(widths)))
        )
        self.decoder = nn.ModuleList(ConvBlock(outer, outer) for outer in reversed(widths[:-1]))
        self.head = nn.Conv2d(widths[0], channels_out, 3, padding=1, padding_mode="replicate")
        kaiming_(self)
        # Starts as nearly "no color": a likelier guess than random colors.
        nn.init.normal_(self.head.weight, 0.0, 0.001)

    @overload
    def forward(self, x: torch.Tensor) -> torch.Tensor: ...

    @overload
    def forward(
        self, x: torch.Tensor, *, with_features: Literal[True]
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    def forward(
        self, x: torch.Tensor, *, with_features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Map lightness to color; shapes as the class says.

        ``with_features`` also returns what the innermost level knows about each picture as a whole,
        (N, ``widths[-1]``): the means over its positions.
        """
        levels = []
        for level in self.encoder:
            x = level(x)
            levels.append(x)
        x = self.drop_innermost(self.context(levels.pop()))
        levels.append(self.drop_next(levels.pop()))
        features = x.mean((2, 3))
        for reduce, level in zip(self.reducers, self.decoder, strict=True):
            x = functional.interpolate(reduce(x), scale_factor=2.0, mode="nearest")
            x = level(x + levels.pop())
        colors = functional.interpolate(
            self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return (colors, features) if with_features else colors
