"""PatchGAN: a discriminator of overlapping patches instead of the whole picture."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.networks.initialization import normal_


class PatchGAN(nn.Module):
    """The discriminator of pix2pix (Isola et al. 2017, section 6.1.2), without a last sigmoid.

    Input (N, ``channels``, H, W), output (N, 1, about H/2^layers, about W/2^layers): a logit a
    patch. With three layers a patch is 70x70 pixels.

    Args:
        channels: channels of the picture, the condition among them.
        width: channels of the first layer, doubled in each further layer up to eight times.
        layers: stride-2 layers.
        norm: of the layers between the first and the last: batch norm, instance norm (CycleGAN),
            or the spectral norm of the weights (Miyato et al. 2018). The first and the last layer
            have no norm. Under "spectral" they keep the initial weights that PyTorch draws; all
            other initial weights are from N(0, 0.02).
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        layers: int = 3,
        norm: Literal["batch", "instance", "spectral"] = "batch",
    ) -> None:
        super().__init__()

        def convolution(inner: int, outer: int, stride: int) -> list[nn.Module]:
            layer = nn.Conv2d(inner, outer, 4, stride, padding=1, bias=norm != "batch")
            if norm == "spectral":
                nn.init.normal_(layer.weight, 0.0, 0.02)
                return [spectral_norm(layer)]
            return [layer, nn.BatchNorm2d(outer) if norm == "batch" else nn.InstanceNorm2d(outer)]

        blocks: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        inner = width
        for index in range(1, layers + 1):
            outer = width * min(2**index, 8)
            blocks += convolution(inner, outer, stride=2 if index < layers else 1)
            blocks.append(nn.LeakyReLU(0.2, inplace=True))
            inner = outer
        blocks.append(nn.Conv2d(inner, 1, 4, stride=1, padding=1))
        self.layers = nn.Sequential(*blocks)
        if norm != "spectral":
            normal_(self)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the logits that each patch of ``picture`` is real."""
        logits: torch.Tensor = self.layers(picture)
        return logits
