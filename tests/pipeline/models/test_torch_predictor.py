"""The network in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn

from pipeline.models.pretrained import pretrained_weights
from pipeline.models.torch_predictor import ChannelsLast, FixedRows, TorchPredictor
from pipeline.models.weights import load_generator
from pipeline.recipes.colorpipe import Colorpipe


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


@pytest.mark.parametrize("shape", [(224, 224), (160, 320), (320, 160), (192, 192)])
def test_a_photo_has_the_same_colors_alone_and_among_others(shape: tuple[int, int]) -> None:
    gray = np.asarray(Image.fromarray(skimage.data.astronaut()).convert("L"), np.uint8)
    height, width = shape
    grays = np.stack([gray[at : at + height, at : at + width] for at in (0, 50, 100, 150)])
    predictor = TorchPredictor.load(pretrained_weights(), "cpu")
    together = predictor.predict(grays)
    for count in (1, 2, 3):
        parts = [predictor.predict(grays[at : at + count]) for at in range(0, 4, count)]
        assert np.array_equal(np.concatenate(parts), together)


def test_several_hints_give_what_the_recipe_gives_by_each() -> None:
    random = np.random.default_rng(0)
    grays = random.integers(0, 256, (2, 64, 96), np.uint8)
    hints = np.zeros((2, 2, 32, 48, 3), np.float32)
    hints[0, :, 4:8, 4:8] = 40, 20, 1
    hints[1, :, 20:24, 30:34] = -30, 40, 0.5
    ours = TorchPredictor.load(pretrained_weights(), "cpu").predict_by_hints(grays, list(hints))
    generator = load_generator(pretrained_weights())
    assert isinstance(generator.recipe, Colorpipe)
    luma = torch.from_numpy(grays)[:, None].float() / 255
    each = [None, *torch.from_numpy(hints).permute(0, 1, 4, 2, 3)]
    with torch.inference_mode():
        theirs = [generator.recipe.predict_ab(generator.module, luma, known) for known in each]
    for own, expected in zip(ours, theirs, strict=True):
        wanted = expected.permute(0, 2, 3, 1).numpy()
        # bfloat16, where the processor has it, keeps 8 bits.
        assert np.abs(own - wanted).max() < 0.02 * np.abs(wanted).max() + 0.05
    assert np.abs(ours[1] - ours[0]).max() > 5
    assert np.abs(ours[2] - ours[1]).max() > 5
