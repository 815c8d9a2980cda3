"""Makes gray photos look as old ones do, so that a network trained on new ones knows them too.

What stands between a scanned print and a digital photo's gray version, as far as arithmetic can
imitate it: an emulsion's and a paper's other contrast, blacks that have faded and whites that
have yellowed away, a soft lens, and grain.
"""

from __future__ import annotations

import torch
from torch.nn import functional

GAMMA = (0.67, 1.5)
"""Exponents of the tone curve, drawn evenly on a logarithmic scale."""
BLACK, WHITE = (-0.05, 0.12), (0.85, 1.08)
"""What black and white become, on a scale of 0 to 1; beyond it they are clipped, as burnt out."""
SOFT = 0.4
"""The share of the photos that are blurred."""
GRAIN = 0.05
"""The largest standard deviation of the grain, of white."""


def aged(luma: torch.Tensor, share: float) -> torch.Tensor:
    """Age a part of the gray photos ``luma`` (N, 1, H, W), 0 to 1; the others are left.

    Which photos, and how, is drawn from torch's generator.

    Args:
        luma: the photos.
        share: the chance of each photo to be aged, 0 to 1.
    """
    count = len(luma)

    def draw(low: float, high: float) -> torch.Tensor:
        return torch.empty(count, 1, 1, 1, device=luma.device).uniform_(low, high)

    black, white = draw(*BLACK), draw(*WHITE)
    exponent = draw(*(torch.tensor(GAMMA).log().tolist())).exp()
    result = luma.clamp(min=1e-4) ** exponent * (white - black) + black
    # The lens comes before the film: grain stays sharp.
    soft = functional.avg_pool2d(functional.pad(result, (1, 1, 1, 1), mode="replicate"), 3, 1)
    result = torch.lerp(result, soft, draw(0, 1) * (draw(0, 1) < SOFT))
    result = result + draw(0, GRAIN) * torch.randn_like(result)
    return torch.where(draw(0, 1) < share, result.clamp(0, 1), luma)
