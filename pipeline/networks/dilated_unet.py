"""Generator 0 and the discriminator of Helwazir's CLI-GAN (CLI-GAN-Image-Colorization)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pipeline.networks.initialization import normal_
from pipeline.networks.skips import join

WIDTHS = (32, 64, 128, 256, 512, 512)


class _Down(nn.Sequential):
    """A dilated convolution, which keeps the size, then one that halves it."""

    def __init__(self, channels_in: int, channels_out: int, norm: bool) -> None:
        # Dilated by 4, a 4x4 kernel spans 13 pixels: 6 on each side keep the size.
        layers: list[nn.Module] = [
            nn.Conv2d(channels_in, channels_out, 4, padding=6, dilation=4),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels_out, channels_out, 4, stride=2, padding=1),
        ]
        if norm:
            layers.append(nn.BatchNorm2d(channels_out))
        super().__init__(*layers, nn.LeakyReLU(0.2))


class _Up(nn.Module):
    """Doubles the size, then joins the encoder's level of that size."""

    def __init__(self, channels_in: int, channels_out: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return join(self.layers(x), skip).relu()


class DilatedUNet(nn.Module):
    """Six encoder and six decoder blocks around a bottleneck.

    Input (N, 1, H, W), output (N, 2, H, W) within -1 and 1; H and W multiples of ``multiple``, 128,
    which the six blocks, the bottleneck and their mirror images halve to 1 and double again.

    Args:
        widths: channels of the encoder's blocks; the decoder's are the same, from the inside out.
        bottleneck: channels of the bottleneck, a stride-2 convolution with ReLU.
        dropout: rate in the four innermost decoder blocks.
    """

    def __init__(
        self, widths: Sequence[int] = WIDTHS, bottleneck: int = 512, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.multiple = 2 ** (len(widths) + 1)
        self.downs = nn.ModuleList(
            _Down(inner, outer, norm=index > 0)
            for index, (inner, outer) in enumerate(zip((1, *widths), widths, strict=False))
        )
        self.bottleneck = nn.Sequential(
            nn.Conv2d(widths[-1], bottleneck, 4, stride=2, padding=1), nn.ReLU()
        )
        self.ups = nn.ModuleList()
        channels = bottleneck
        for index, width in enumerate(reversed(widths)):
            self.ups.append(_Up(channels, width, dropout if index < 4 else 0.0))
            channels = 2 * width
        self.head = nn.Sequential(
            nn.ConvTranspose2d(channels, 2, 4, stride=2, padding=1), nn.Tanh()
        )
        normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map lightness to color; shapes as the class says."""
        levels = []
        for down in self.downs:
            x = down(x)
            levels.append(x)
        x = self.bottleneck(x)
        for up in self.ups:
            x = up(x, levels.pop())
        ab: torch.Tensor = self.head(x)
        return ab


class StridedDiscriminator(nn.Sequential):
    """Four strided convolutions and a last one without activation: a logit a patch.

    Input (N, ``channels``, H, W), output (N, 1, H/16, W/16). Batch norm in all but the first block,
    LeakyReLU 0.2; the page names no filters: 64, 128, 256 and 512 of 4x4, as in DCGAN.
    """

    def __init__(self, channels: int = 3, widths: Sequence[int] = (64, 128, 256, 512)) -> None:
        layers: list[nn.Module] = []
        for index, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 4, stride=2, padding=1))
            if index > 0:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(0.2))
            channels = width
        super().__init__(*layers, nn.Conv2d(channels, 1, 3, padding=1))
        normal_(self)
