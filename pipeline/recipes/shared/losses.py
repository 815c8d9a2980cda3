"""Losses that recipes share."""

from __future__ import annotations

import torch
from torch.nn import functional


def least_squares(logits: torch.Tensor, target: float) -> torch.Tensor:
    """Return the LSGAN loss against ``target``: 1 for real, 0 for fake (Mao et al. 2017, eq. 9)."""
    logits = logits.float()
    return functional.mse_loss(logits, torch.full_like(logits, target))


def cross_entropy(logits: torch.Tensor, target: float | torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy of ``logits`` against ``target`` (Goodfellow et al. 2014).

    ``target`` is one probability for all, or a tensor of them of the shape of ``logits``.
    """
    logits = logits.float()
    if isinstance(target, float):
        target = torch.full_like(logits, target)
    return functional.binary_cross_entropy_with_logits(logits, target)
