from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from ablation_variants import (
    COMMON,
    Classes,
    NoContext,
    SmoothL1,
    SquareCrops,
)
from photos import pixels_of, real_photos
from torch import nn

from pipeline.imaging import color
from pipeline.recipes.colorpipe import Colorpipe, ColorpipeSettings
from pipeline.recipes.shared.base import GENERATOR, Batch
from pipeline.training.photo_set import resized, to_tensor


def settings(**values: Any) -> ColorpipeSettings:
    plain = {"size": 32, "width": 4, "aged": 0.0, "hinted": 0.0, "luminance": 0.0, "vividness": 1.0}
    return ColorpipeSettings(**{**COMMON, **plain, **values})


@pytest.fixture
def rgb() -> torch.Tensor:
    device = torch.device("cpu")
    photos = [pixels_of(path)[:128, :128] for path in real_photos(8)]
    return torch.cat([resized(to_tensor(photo[None], device), 32) for photo in photos])


def ab_of(rgb: torch.Tensor) -> torch.Tensor:
    return color.tensor_rgb_to_lab(rgb)[:, 1:]


def halved(rgb: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(rgb, 2)


class Always(nn.Module):
    """A generator with a fixed output."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output


def losses_of(
    recipe: Colorpipe, batch: Batch, networks: Mapping[str, nn.Module]
) -> dict[str, float]:
    (update,) = recipe.updates(recipe.phases[0], 0, batch, networks)
    return {name: value.item() for name, value in update.losses.items()}


def test_smooth_l1_predicts_uncompressed_colors(rgb: torch.Tensor) -> None:
    recipe = SmoothL1(settings())
    batch = recipe.encode(rgb)
    assert torch.equal(batch.x, Colorpipe(settings()).encode(rgb).x)
    ab = recipe.predict_ab(Always(batch.y), color.tensor_luma(rgb))
    torch.testing.assert_close(ab, ab_of(halved(rgb)), atol=2e-3, rtol=1e-3)
    # 40 units too much of a*: linear but for half of the unit within which it is quadratic.
    off = batch.y + torch.tensor([2.0, 0.0])[None, :, None, None]
    loss = recipe.regression(off, batch, {})
    assert loss.item() * 20 == pytest.approx(39.5, abs=0.01)


def test_classes_are_the_cells_with_colors_of_srgb(rgb: torch.Tensor) -> None:
    centers = Classes(settings()).centers
    assert centers.shape == (261, 2)
    assert len(torch.unique(centers, dim=0)) == len(centers)
    ab = ab_of(rgb).permute(0, 2, 3, 1).reshape(-1, 2)
    nearest = (ab[:, None] - centers).abs().amax(2).amin(1)
    assert nearest.max() < 5.1


def test_the_shares_of_classes_in_a_color_give_it_back(rgb: torch.Tensor) -> None:
    recipe = Classes(settings())
    torch.testing.assert_close(recipe.shares.sum(1), torch.ones(256 * 256))
    ab = ab_of(rgb)[:, :, ::8, ::8]
    a, b = ab.round().long().add(128).unbind(1)
    shares = recipe.shares[256 * a + b]
    logits = shares.clamp(min=1e-9).log().permute(0, 3, 1, 2) * 0.38
    found = recipe.predict_ab(Always(logits), torch.zeros(len(ab), 1, 4, 4))
    assert (found - ab).square().sum(1).sqrt().max() < 6


def test_the_annealed_mean_prefers_the_likeliest_class() -> None:
    recipe = Classes(settings(vividness=2.0, pale=0.0))
    logits = torch.full((1, 261, 2, 2), -30.0)
    logits[:, 7], logits[:, 250] = 0.0, -1.0
    share = 1 / (1 + np.exp(-1 / 0.38))
    wanted = 2 * (share * recipe.centers[7] + (1 - share) * recipe.centers[250])
    found = recipe.predict_ab(Always(logits), torch.zeros(1, 1, 4, 4))
    assert found.shape == (1, 2, 2, 2)
    torch.testing.assert_close(found[0, :, 1, 1], wanted.float(), atol=1e-3, rtol=1e-4)


def test_rare_classes_have_more_weight(rgb: torch.Tensor) -> None:
    recipe = Classes(settings())
    network = recipe.generator()
    spot = torch.full((1, 3, 32, 32), 0.5)
    spot[:, :, :2, :2] = torch.tensor([0.8, 0.1, 0.1])[None, :, None, None]
    logits = torch.zeros(1, 261, 16, 16, requires_grad=True)
    recipe.regression(logits, recipe.encode(spot), {GENERATOR: network}).backward()
    assert logits.grad is not None
    pull = logits.grad.abs().sum(1)[0]
    assert pull[0, 0] > 50 * pull[8, 8]
    assert network.get_buffer("seen").sum().item() == pytest.approx(1, abs=0.01)
    # The weights are 1 on average, so the loss of uniform logits is about log 261.
    network = recipe.generator()
    equal = torch.zeros(len(rgb), 261, 16, 16)
    loss = recipe.regression(equal, recipe.encode(rgb), {GENERATOR: network})
    assert loss.item() == pytest.approx(np.log(261), rel=0.2)


def test_classes_are_predicted_at_half_size_and_enlarged(rgb: torch.Tensor) -> None:
    recipe = Classes(settings())
    network = recipe.generator().eval()
    assert network(recipe.encode(rgb).x, half=True).shape == (8, 261, 16, 16)
    assert recipe.predict_ab(network, color.tensor_luma(rgb)).shape == (8, 2, 32, 32)


def test_without_context_nothing_is_added_to_every_place() -> None:
    whole = torch.rand(2, 1280)
    assert (NoContext(settings()).generator().context(whole) == 0).all()
    assert (Colorpipe(settings()).generator().context(whole) != 0).all()


def test_square_crops_are_neither_stretched_nor_put_together() -> None:
    augmentation = SquareCrops(settings()).augmentation
    assert augmentation
    assert (augmentation.stretch, augmentation.collages) == (1.0, 0.0)
