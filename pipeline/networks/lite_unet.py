"""The generator of the recipe ``colorpipe``: it recognizes first, and colors what it recognized."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from pipeline.networks.efficientnet_lite import EfficientNetLite, Variant

HINT_CHANNELS = 3
"""a*, b* and how much they are to be relied on, 0 to 1."""


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class SelfAttention(nn.Module):
    """A transformer's layer (Dosovitskiy et al. 2021): every place looks at all others.

    Both sleeves of a coat get one color, and a hint reaches all that looks alike. Places have no
    positions, so that a picture may have any size: what a place knows of where it is comes from a
    depthwise convolution over its neighborhood (Chu et al. 2021, arXiv:2102.10882).

    Args:
        channels: of input and output; a multiple of ``heads``.
        heads: ways of looking, each with its share of the channels.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.neighborhood = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.attention_norm = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.from_values = nn.Linear(channels, channels)
        self.dense_norm = nn.LayerNorm(channels)
        self.dense = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) to the same shape."""
        count, channels, height, width = x.shape
        x = x + self.neighborhood(x)
        places = x.flatten(2).transpose(1, 2)
        qkv = self.to_qkv(self.attention_norm(places))
        split = qkv.reshape(count, height * width, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        places = places + self.from_values(seen.transpose(1, 2).reshape(places.shape))
        places = places + self.dense(self.dense_norm(places))
        result: torch.Tensor = places.transpose(1, 2).reshape(count, channels, height, width)
        return result


class LiteUNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) on EfficientNet-Lite, with hints and attention.

    Input (N, 1, H, W), luma from -1 to 1, and hints (N, 3, H/2, W/2) or None; output
    (N, 2, H, W). H and W are multiples of ``multiple``. The decoder ends at half the size, where
    color, which the eye sees at low resolution only, loses nothing and a CPU wins a factor of
    four; the output is brought up bilinearly. Skips are added, not concatenated: half the
    arithmetic of the widest layers.

    Args:
        encoder: the variant of EfficientNet-Lite.
        widths: the decoder's channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.
        attention: layers of self-attention at 1/16.
        frozen: stages of the encoder that stay as they are in training.
    """

    multiple = 32

    def __init__(
        self,
        encoder: Variant = "lite0",
        widths: Sequence[int] = (32, 64, 96, 192, 256),
        attention: int = 2,
        frozen: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder, frozen)
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
            for channels, width in zip(self.encoder.channels, widths, strict=True)
        )
        self.context = nn.Linear(1280, widths[-1])
        # From the inside out: each brings the level below to the width of the level above it.
        self.reducers = nn.ModuleList(
            ConvBlock(inner, outer) for outer, inner in reversed(list(pairwise(widths)))
        )
        # Without bias: where nothing is hinted nothing is added.
        self.hints = nn.ModuleList(
            nn.Conv2d(HINT_CHANNELS, width, 3, padding=1, bias=False)
            for width in reversed(widths[:-1])
        )
        self.attention = nn.Sequential(*(SelfAttention(widths[-2]) for _ in range(attention)))
        self.decoder = nn.ModuleList(ConvBlock(width, width) for width in reversed(widths[:-1]))
        self.output = nn.Conv2d(widths[0], 2, 3, padding=1)
        # Starts as nearly "no color": a likelier guess than random colors.
        nn.init.normal_(self.output.weight, 0.0, 0.001)

    def forward(
        self, x: torch.Tensor, hints: torch.Tensor | None = None, *, half: bool = False
    ) -> torch.Tensor:
        """Map luma and hints to color; shapes as the class says.

        With ``half`` color stays at the half size (N, 2, H/2, W/2) that the last layer works at.
        """
        levels, whole = self.encoder(x.expand(-1, 3, -1, -1))
        inner = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        x = functional.relu(inner.pop() + self.context(whole)[:, :, None, None])
        known = [] if hints is None else pyramid(hints, len(self.decoder))
        for place, (reduce, level) in enumerate(zip(self.reducers, self.decoder, strict=True)):
            x = functional.interpolate(reduce(x), scale_factor=2.0, mode="nearest") + inner.pop()
            if known:
                x = x + self.hints[place](known.pop())
            if place == 0:
                x = self.attention(x)
            x = level(x)
        colors: torch.Tensor = self.output(x)
        if half:
            return colors
        return functional.interpolate(
            colors, scale_factor=2.0, mode="bilinear", align_corners=False
        )


def pyramid(hints: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """Return ``hints`` (N, 3, H, W) at ``levels`` sizes, each half of the one before.

    The color of a larger place is the mean of the colors within, weighted by their confidence; its
    own confidence is the highest of theirs, so that a single point does not fade away.
    """
    result = [hints]
    for _ in range(levels - 1):
        color, confidence = hints[:, :2], hints[:, 2:]
        weight = functional.avg_pool2d(confidence, 2)
        mean = functional.avg_pool2d(color * confidence, 2) / weight.clamp(min=1e-4)
        hints = torch.cat([mean, functional.max_pool2d(confidence, 2)], dim=1)
        result.append(hints)
    return result
