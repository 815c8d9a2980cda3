"""The exponential moving average of a network's weights, which is steadier than the weights."""

from __future__ import annotations

import torch
from torch import nn


def move_towards(
    average: nn.Module, network: nn.Module, decay: float, step: int | None = None
) -> None:
    """Move ``average``'s weights towards ``network``'s (Polyak and Juditsky 1992).

    Args:
        average: a copy of ``network``, changed in place; running means are averaged too.
        network: the network in training.
        decay: how much of the average is kept, 0 to 1.
        step: the number of the step that was just taken, from 0: less is kept in the first ones,
            since a young average would remember the initial weights for long. None where these are
            trained ones, and worth remembering.
    """
    if step is not None:
        decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, new in zip(
            average.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(new, 1 - decay)
            else:
                mean.copy_(new)
