"""The U-Net of pix2pix, CycleGAN and the COCO cGAN tutorial."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from pipeline.networks.initialization import normal_
from pipeline.networks.skips import join

NormName = Literal["batch", "instance"]


def _norm(name: NormName, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if name == "batch" else nn.InstanceNorm2d(channels)


class SkipUNet(nn.Module):
    """The generator of pix2pix (Isola et al. 2017, section 6.1.1) with any number of halvings.

    Input (N, ``channels_in``, H, W), output (N, ``channels_out``, H, W) within -1 and 1; H and W
    multiples of ``multiple``. Encoder C64-C128-C256-C512-C512-C512-C512-C512 and decoder
    CD512-CD512-CD512-C512-C256-C128-C64 for the eight halvings that bring 256 px down to 1; with
    fewer, layers of 512 channels are left out from the middle.

    As in the authors' PyTorch code, a convolution before a norm has no bias, and the innermost
    layer, a single pixel at the published size, has no norm.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        width: channels of the outermost layer, doubled inwards up to eight times.
        halvings: stride-2 layers.
        dropout: rate in the three innermost decoder layers, as far as they are the widest.
        norm: batch norm, or instance norm, which is what batch norm is with a batch of one.
    """

    def __init__(
        self,
        channels_in: int = 1,
        channels_out: int = 2,
        *,
        width: int = 64,
        halvings: int = 8,
        dropout: float = 0.5,
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        self.multiple = 2**halvings
        bias = norm == "instance"
        widths = [width * min(2**level, 8) for level in range(halvings)]
        self.downs = nn.ModuleList([nn.Conv2d(channels_in, width, 4, 2, 1, bias=bias)])
        for level in range(1, halvings):
            block: list[nn.Module] = [
                nn.LeakyReLU(0.2),
                nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=bias),
            ]
            if level < halvings - 1:
                block.append(_norm(norm, widths[level]))
            self.downs.append(nn.Sequential(*block))
        self.ups = nn.ModuleList()
        for level in range(halvings - 1, 0, -1):
            # All but the innermost take the level below and, beside it, the encoder's own.
            inner = widths[level] * (1 if level == halvings - 1 else 2)
            block = [
                nn.ReLU(),
                nn.ConvTranspose2d(inner, widths[level - 1], 4, 2, 1, bias=bias),
                _norm(norm, widths[level - 1]),
            ]
            if len(self.ups) < 3 and widths[level - 1] == 8 * width:
                block.append(nn.Dropout(dropout))
            self.ups.append(nn.Sequential(*block))
        self.head = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(2 * width, channels_out, 4, 2, 1), nn.Tanh()
        )
        normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map gray to color, or color to gray; shapes as the class says."""
        levels = []
        for down in self.downs:
            x = down(x)
            levels.append(x)
        x = levels.pop()
        for up in self.ups:
            x = join(up(x), levels.pop())
        result: torch.Tensor = self.head(x)
        return result
