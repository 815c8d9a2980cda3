import numpy as np
import skimage.data
import torch

from pipeline.color import rgb_to_lab
from pipeline.recipes import get_recipe
from pipeline.recipes.colorpipe import AB_SCALE
from pipeline.validation import watch

PHOTOS = np.stack([skimage.data.coffee()[:64, :64], skimage.data.astronaut()[:64, :64]])


class Recall(torch.nn.Module):
    """Knows the colours of PHOTOS, in their order."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.asked = 0

    def forward(self, x):
        ab = rgb_to_lab(PHOTOS[self.asked])[..., 1:] / AB_SCALE * self.factor
        self.asked += 1
        return torch.from_numpy(ab).permute(2, 0, 1)[None]


def look(factor):
    recipe = get_recipe("colorpipe", {"size": 64})
    return watch(recipe, Recall(factor), PHOTOS, torch.device("cpu"), torch.float32)


def test_the_right_colours_leave_little_difference():
    right, gray = look(1.0), look(0.0)
    assert right["ciede2000"] < 0.25 * gray["ciede2000"]
    assert 0.9 < right["colourfulness_ratio"] < 1.1
    assert gray["colourfulness_ratio"] == 0


def test_the_generator_is_given_back_as_it_was():
    generator = Recall(1.0).train()
    watch(
        get_recipe("colorpipe", {"size": 64}),
        generator,
        PHOTOS,
        torch.device("cpu"),
        torch.float32,
    )
    assert generator.training
