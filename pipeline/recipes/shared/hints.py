"""Hints: chroma that is known at some places, as training imitates it.

A click, a reference photo's matching place and the frame before are the same to the network: a*
and b* with a confidence, at half the photo's size (N, 3, H/2, W/2), all 0 where nothing is known.
Half of the training pictures have none, so that the network colors as well without.
"""

from __future__ import annotations

import torch
from torch.nn import functional

DENSE = 0.15
"""The share of them whose hints are like a neighboring frame's: nearly everywhere, and inexact."""
FEW, MANY = 1 / 8, 1 / 60
"""Chance of each point to be the last one (Zhang et al. 2017, section 3.1, has 1/8)."""
MANY_SHARE = 0.25
"""The share of the point hints that end by the latter."""
LARGEST = 4
"""Side of the largest patch in cells, each of 2 x 2 pixels: Zhang et al. have 1 to 9 pixels."""


def simulated_hints(ab: torch.Tensor, share: float) -> torch.Tensor:
    """Draw hints (N, 3, H, W) for colors ``ab`` (N, 2, H, W), from torch's generator.

    Args:
        ab: ground truth at half the picture's size, in the scale in which hints are given.
        share: the chance of each picture to have any, 0 to 1.
    """
    count, _, height, width = ab.shape
    hints = torch.zeros(count, 3, height, width, device=ab.device)
    draws = torch.rand(count, 2).tolist()
    for picture, (hinted, kind) in enumerate(draws):
        if hinted >= share:
            continue
        if kind < DENSE:
            hints[picture] = _dense(ab[picture])
        else:
            _points(ab[picture], hints[picture])
    return hints


def _points(ab: torch.Tensor, hints: torch.Tensor) -> None:
    """Fill in patches of their mean color, as many as a geometric distribution says."""
    _, height, width = ab.shape
    last = MANY if torch.rand(()).item() < MANY_SHARE else FEW
    number = min(int(torch.empty(()).geometric_(last).item()), height * width)
    sides = torch.randint(1, LARGEST + 1, (number,)).tolist()
    for side, (down, right) in zip(sides, torch.rand(number, 2).tolist(), strict=True):
        top, left = int(down * (height - side)), int(right * (width - side))
        place = (slice(top, top + side), slice(left, left + side))
        hints[:2, place[0], place[1]] = ab[:, place[0], place[1]].mean((1, 2))[:, None, None]
        hints[2, place[0], place[1]] = 1.0


def _dense(ab: torch.Tensor) -> torch.Tensor:
    """Return the colors moved, blurred and tinted, with a confidence that has holes."""
    _, height, width = ab.shape
    down, right = (torch.randint(-3, 4, (2,))).tolist()
    moved = ab.roll((down, right), (1, 2))
    blur = 2 * int(torch.randint(0, 4, ()).item()) + 1
    blurred = functional.avg_pool2d(moved, blur, 1, blur // 2, count_include_pad=False)
    tinted = blurred + 0.1 * torch.randn(2, 1, 1, device=ab.device)
    coarse = torch.rand(1, 1, 5, 5, device=ab.device) * 2.5 - 0.75
    confidence = functional.interpolate(
        coarse, size=(height, width), mode="bilinear", align_corners=False
    )[0].clamp(0, 1)
    return torch.cat([tinted * (confidence > 0), confidence])
