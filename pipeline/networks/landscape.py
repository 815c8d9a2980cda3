"""The networks of the recipe ``landscape-rgb``; ``heartbeat`` has the same generator.

Source: MelikaRad/Image_Colorization_Using_GAN, whose networks are those of Panchal's article on
colorization with Keras.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from pipeline.networks.initialization import glorot_

KERAS_SLOPE = 0.3
"""The slope of Keras' LeakyReLU where none is given."""


_ENCODED = 26
"""Side in pixels of which the encoder leaves two: smaller pictures are padded with their edge."""


def _encoder(channels: int, width: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 5),
        nn.LeakyReLU(KERAS_SLOPE),
        nn.Conv2d(width, width_out, 3),
        nn.LeakyReLU(KERAS_SLOPE),
        nn.Conv2d(width_out, width_out, 3),
        nn.LeakyReLU(KERAS_SLOPE),
    )


def _decoder(channels: int, width: int, width_out: int, last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels, width, 3),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width, 3),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width_out, 5),
        last,
    )


class LandscapeGenerator(nn.Module):
    """Gray (N, 1, H, W) to RGB (N, 3, H, W), 0 upwards, or to a and b; any H and W.

    Stride 1 throughout. Without padding each encoder group takes 8 pixels from every side's pair,
    and the decoder's transposed convolutions give them back, so that group and mirror image fit
    together; the bottleneck alone is padded, since it is concatenated with its own input.

    Args:
        channels_out: 3 for RGB; 2 for a and b, which lie within -1 and 1: the last layer is then
            a hyperbolic tangent, since its ReLU could give no negative number.
    """

    def __init__(self, channels_out: Literal[2, 3] = 3) -> None:
        super().__init__()
        self.encoder1 = _encoder(1, 16, 32)
        self.encoder2 = _encoder(32, 32, 64)
        self.encoder3 = _encoder(64, 64, 128)
        self.bottleneck = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.Tanh())
        self.decoder3 = _decoder(256, 128, 64, nn.ReLU())
        self.decoder2 = _decoder(128, 64, 32, nn.ReLU())
        last = nn.ReLU() if channels_out == 3 else nn.Tanh()
        self.decoder1 = _decoder(64, 32, channels_out, last)
        glorot_(self)

    def forward(self, gray: torch.Tensor) -> torch.Tensor:
        """Return the colors of ``gray``; shapes as the class says."""
        height, width = gray.shape[2:]
        if min(height, width) < _ENCODED:
            missing = (max(0, _ENCODED - width), max(0, _ENCODED - height))
            gray = functional.pad(gray, (0, missing[0], 0, missing[1]), mode="replicate")
        skip1 = self.encoder1(gray)
        skip2 = self.encoder2(skip1)
        skip3 = self.encoder3(skip2)
        x = self.bottleneck(skip3)
        x = self.decoder3(torch.cat([x, skip3], dim=1))
        x = self.decoder2(torch.cat([x, skip2], dim=1))
        colors: torch.Tensor = self.decoder1(torch.cat([x, skip1], dim=1))
        return colors[:, :, :height, :width]


SMALLEST = 142
"""Side in pixels of the smallest picture that the discriminator's layers leave a pixel of."""


class LandscapeDiscriminator(nn.Module):
    """RGB (N, 3, ``size``, ``size``), 0 to 1, to a logit (N, 1) that the picture is real.

    MelikaRad's ends in a sigmoid and binary cross-entropy; here the two are one function of the
    logit, which is the same number computed without overflow.
    """

    def __init__(self, size: int = 200) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = 3
        for width, kernel in ((32, 7), (64, 5), (128, 3), (256, 3)):
            blocks += [
                nn.Conv2d(channels, width, kernel),
                nn.ReLU(),
                nn.Conv2d(width, width, kernel),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            channels = width
            size = (size - 2 * (kernel - 1)) // 2
        self.features = nn.Sequential(*blocks)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, 512),
            nn.ReLU(),
            nn.Linear(512, 128),
            nn.ReLU(),
            nn.Linear(128, 16),
            nn.ReLU(),
            nn.Linear(16, 1),
        )
        glorot_(self)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return a logit a picture."""
        logit: torch.Tensor = self.dense(self.features(rgb))
        return logit
