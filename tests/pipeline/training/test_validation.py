from typing import get_args

import numpy as np
import pytest
import skimage.data
import torch

from pipeline.imaging.color import rgb_to_lab
from pipeline.params import TrainParams
from pipeline.recipes import get_recipe
from pipeline.recipes.lab import AB_SCALE
from pipeline.training.validation import COSTS, watch

PHOTOS = np.stack([skimage.data.coffee()[:64, :64], skimage.data.astronaut()[:64, :64]])


class Recall(torch.nn.Module):
    """Knows the colors of PHOTOS, in their order."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        ab = np.stack([rgb_to_lab(photo)[..., 1:] for photo in PHOTOS]) / AB_SCALE * self.factor
        return torch.from_numpy(ab).permute(0, 3, 1, 2)


def look(factor, **options):
    recipe = get_recipe("unet", {"size": 64, "halvings": 6})
    return watch(recipe, Recall(factor), PHOTOS, torch.device("cpu"), torch.float32, **options)


def test_the_right_colors_leave_little_difference():
    right, gray = look(1.0).measures, look(0.0).measures
    assert right["ciede2000"] < 0.25 * gray["ciede2000"]
    assert 0.9 < right["colorfulness_ratio"] < 1.1
    assert gray["colorfulness_ratio"] == 0


def test_the_generator_is_given_back_as_it_was():
    generator = Recall(1.0).train()
    recipe = get_recipe("colorpipe", {"size": 64})
    watch(recipe, generator, PHOTOS, torch.device("cpu"), torch.float32)
    assert generator.training


def test_colors_are_converted_in_full_precision():
    # Products of bfloat16 would shift a* by whole units in the recipe that predicts RGB.
    class Answer(torch.nn.Module):
        def forward(self, x):
            return torch.from_numpy(PHOTOS).permute(0, 3, 1, 2).float() / 255

    recipe = get_recipe("landscape-rgb", {"size": 142})
    recipe.settings = recipe.settings.model_copy(update={"size": 64})
    found = watch(recipe, Answer(), PHOTOS, torch.device("cpu"), torch.bfloat16)
    exact = watch(recipe, Answer(), PHOTOS, torch.device("cpu"), torch.float32)
    assert found.measures == exact.measures


def test_the_network_is_computed_in_the_type_asked_for():
    recipe = get_recipe("colorpipe", {"size": 64, "width": 4})
    for dtype in (torch.float32, torch.bfloat16):
        seen = set()
        generator = recipe.generator()
        generator.head.register_forward_hook(lambda module, x, y, seen=seen: seen.add(y.dtype))
        watch(recipe, generator, PHOTOS, torch.device("cpu"), dtype)
        assert seen == {dtype}


def test_the_sheet_shows_gray_colorized_and_true_pictures():
    seen = look(1.0, shown=2)
    assert len(seen.made) == len(seen.truths) == 2
    assert np.array_equal(seen.truths[1], PHOTOS[1])
    sheet = np.asarray(seen.sheet("epoch 1"))
    assert sheet.shape[1] > 2 * 64
    grays, made, truths = (sheet[top : top + 64] for top in find_rows(sheet))
    assert np.ptp(grays.astype(int), axis=2).max() == 0
    assert np.ptp(made.astype(int), axis=2).max() > 50
    assert np.abs(made.astype(int) - truths).mean() < 5
    assert look(1.0).made == []


def find_rows(sheet):
    """Tops of the rows of pictures: where the right half stops being blank."""
    blank = (sheet[:, -100:-20] == 255).all((1, 2))
    return [y + 1 for y in range(len(blank) - 1) if blank[y] and not blank[y + 1]]


def cost(name, ciede2000=10.0, ratio=1.0):
    return COSTS[name]({"ciede2000": ciede2000, "colorfulness_ratio": ratio})


def test_costs_are_lowest_for_the_right_colors():
    assert cost("ciede2000", 3.0) < cost("ciede2000", 4.0)
    ratios = [cost("colorfulness_ratio", ratio=ratio) for ratio in (1.0, 0.9, 0.5, 0.01, 0.0)]
    assert ratios[0] == 0
    assert ratios == sorted(set(ratios))
    assert abs(cost("colorfulness_ratio", ratio=2.0) - ratios[2]) < 1e-12


def test_the_balanced_cost_weighs_the_difference_by_how_far_colorfulness_is_off():
    assert cost("balanced", 8.0, 1.0) == 8.0
    assert cost("balanced", 8.0, 0.0) == 16.0
    assert cost("balanced", 8.0, 0.8) == cost("balanced", 8.0, 1.2) == pytest.approx(9.6)
    # The timid colors that CIEDE2000 alone would choose.
    assert cost("ciede2000", 8.5, 0.5) < cost("ciede2000", 9.0, 0.9)
    assert cost("balanced", 8.5, 0.5) > cost("balanced", 9.0, 0.9)


def test_what_can_be_asked_for_is_what_has_a_cost():
    assert get_args(TrainParams.model_fields["metric"].annotation) == tuple(COSTS)
