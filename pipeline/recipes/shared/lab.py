"""The scaling of CIE Lab that the recipes with Lab have in common: L / 50 - 1, ab / 110."""

from __future__ import annotations

import torch

from pipeline.imaging import color
from pipeline.recipes.shared.base import Batch

AB_SCALE = 110.0
"""a* and b* of sRGB lie within about -108 and 99."""


def encode(rgb: torch.Tensor) -> Batch:
    """Take L* from the photo's luma, a* and b* from its colors, all scaled to about -1 to 1.

    L* of the neutral gray, since that is all that a black-and-white photo gives; the published
    systems take the color photo's own L*, which differs by a few units in saturated places.

    Args:
        rgb: sRGB photos (N, 3, H, W), 0 to 1.
    """
    ab = color.tensor_rgb_to_lab(rgb)[:, 1:] / AB_SCALE
    return Batch(x=lightness(color.tensor_luma(rgb)), y=ab)


def lightness(luma: torch.Tensor) -> torch.Tensor:
    """Return L* (N, 1, H, W), -1 to 1, of gray photos ``luma`` (N, 1, H, W), 0 to 1."""
    return color.tensor_lightness(luma) / 50 - 1


def picture(x: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Put lightness (N, 1, H, W) and color (N, 2, H, W) together, for a discriminator."""
    return torch.cat([x, ab], dim=1)
