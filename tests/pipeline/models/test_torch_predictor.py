"""The network in PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.models.torch_predictor import ChannelsLast, FixedRows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_alone_and_among_others(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = FixedRows(nn.Linear(1280, 256), 4).to(dtype)
    rows = torch.randn(100, 1280, dtype=dtype)
    with torch.inference_mode():
        fours, pairs, alone = (torch.cat([*map(layer, rows.split(n))]) for n in (4, 2, 1))
    assert torch.equal(pairs, fours)
    assert torch.equal(alone, fours)


def test_a_picture_is_the_same_alone_and_among_others() -> None:
    torch.manual_seed(0)
    channels = 192
    layer = ChannelsLast(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))
    layer = layer.to(torch.bfloat16)
    places = torch.randn(4, 144, channels, dtype=torch.bfloat16)

    def as_pictures(rows: torch.Tensor) -> torch.Tensor:
        # As self-attention leaves them.
        return rows.transpose(1, 2).reshape(len(rows), channels, 12, 12)

    with torch.inference_mode():
        together = layer(as_pictures(places))
        alone = torch.cat([layer(as_pictures(place[None])) for place in places])
    assert torch.equal(alone, together)
