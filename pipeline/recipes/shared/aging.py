"""Makes gray photos look as old ones do, so that a network trained on new ones knows them too.

What stands between a scanned print and a digital photo's gray version, as far as arithmetic can
imitate it: a film that sees other colors than the eye, an emulsion's and a paper's other contrast,
blacks that have faded and whites that have yellowed away, a soft lens, uneven light, grain and
scratches.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from pipeline.imaging import color

ORTHOCHROMATIC = 0.5
"""The share of the films that see less red and more blue than the eye: lips dark, skies white."""
RED, BLUE = (0.0, 0.21), (0.07, 0.6)
"""Their sensitivities, of 1 in all; the eye's are 0.21 and 0.07 (ITU-R BT.709)."""
GAMMA = (0.67, 1.5)
"""Exponents of the tone curve, drawn evenly on a logarithmic scale."""
BLACK, WHITE = (-0.05, 0.15), (0.8, 1.08)
"""What black and white become, on a scale of 0 to 1; beyond it they are clipped, as burnt out."""
SOFT, SOFTER = 0.5, 0.2
"""The shares of the photos that are blurred, and blurred to a quarter of their detail."""
UNEVEN = 0.25
"""How far light differs from place to place, up or down, at most."""
GRAIN = 0.06
"""The largest standard deviation of the grain, of white."""
SCRATCHES = 4
"""Scratches in a photo, at most."""


def filmed(rgb: torch.Tensor) -> torch.Tensor:
    """Return the grays (N, 1, H, W) that films make of sRGB ``rgb`` (N, 3, H, W), both 0 to 1.

    Half of them by the eye's sensitivities (CIE luminance), the others orthochromatic.
    """
    count = len(rgb)
    chosen = torch.rand(count, 1, 1, 1, device=rgb.device) < ORTHOCHROMATIC
    red = torch.empty(count, 1, 1, 1, device=rgb.device).uniform_(*RED)
    blue = torch.empty(count, 1, 1, 1, device=rgb.device).uniform_(*BLUE)
    red, blue = torch.where(chosen, red, 0.2126), torch.where(chosen, blue, 0.0722)
    weights = torch.cat([red, 1 - red - blue, blue], dim=1)
    light = (color.tensor_linear(rgb) * weights).sum(dim=1, keepdim=True)
    return color.tensor_encoded(light)


def aged(luma: torch.Tensor, share: float) -> torch.Tensor:
    """Age a part of the gray photos ``luma`` (N, 1, H, W), 0 to 1; the others are left.

    Which photos, and how, is drawn from torch's generator.

    Args:
        luma: the photos.
        share: the chance of each photo to be aged, 0 to 1.
    """
    chosen = torch.rand(len(luma), device=luma.device) < share
    if not chosen.any():
        return luma
    old = luma[chosen]
    count, _, height, width = old.shape

    def draw(low: float, high: float) -> torch.Tensor:
        return torch.empty(count, 1, 1, 1, device=luma.device).uniform_(low, high)

    black, white = draw(*BLACK), draw(*WHITE)
    exponent = draw(*(torch.tensor(GAMMA).log().tolist())).exp()
    old = old.clamp(min=1e-4) ** exponent * (white - black) + black
    # The lens and the light come before the film: grain and scratches stay sharp.
    soft = functional.avg_pool2d(functional.pad(old, (1, 1, 1, 1), mode="replicate"), 3, 1)
    old = torch.lerp(old, soft, draw(0, 1) * (draw(0, 1) < SOFT))
    softer = functional.interpolate(
        functional.avg_pool2d(old, 4), size=(height, width), mode="bilinear", align_corners=False
    )
    old = torch.where(draw(0, 1) < SOFTER, softer, old)
    light = torch.empty(count, 1, 3, 3, device=luma.device).uniform_(1 - UNEVEN, 1 + UNEVEN)
    old = old * functional.interpolate(
        light, size=(height, width), mode="bilinear", align_corners=True
    )
    old = old + draw(0, GRAIN) * torch.randn_like(old)
    for photo, number in zip(old, torch.randint(0, SCRATCHES + 1, (count,)).tolist(), strict=True):
        for left, shade, top, end in torch.rand(number, 4).tolist():
            column = int(left * width)
            photo[:, int(top * height) : int(end * height) + 1, column : column + 1] = shade
    result = luma.clone()
    result[chosen] = old.clamp(0, 1)
    return result
