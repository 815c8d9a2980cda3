"""The image pool of CycleGAN: a discriminator's memory."""

from __future__ import annotations

import torch
from torch import nn


class ImagePool(nn.Module):
    """Gives a discriminator generated pictures of the past (Shrivastava et al. 2017, section 2.3).

    Until ``size`` pictures are kept, pictures pass through and are kept. From then on each picture
    is, half of the time, swapped for a random one of those kept. The pool is a module so that its
    pictures are moved, saved and restored with the networks.

    Args:
        size: pictures to keep; 0 keeps none and passes everything through.
        shape: channels, height and width of a picture.
    """

    kept: torch.Tensor
    count: torch.Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("kept", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return as many pictures (N, C, H, W) as are given; none carries a gradient."""
        pictures = pictures.detach()
        if not self.size:
            return pictures
        chosen = []
        for picture in pictures:
            count = int(self.count)
            if count < self.size:
                self.kept[count] = picture
                self.count += 1
                chosen.append(picture)
                continue
            place = int(torch.randint(self.size, ()))
            if torch.rand(()) < 0.5:
                chosen.append(self.kept[place].clone())
                self.kept[place] = picture
            else:
                chosen.append(picture)
        return torch.stack(chosen)
