from itertools import pairwise

import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import rgb2lab

from pipeline.errors import ColorpipeError
from pipeline.params import TrainParams
from pipeline.recipes import RECIPES, describe_all, get_recipe, recipe_of
from pipeline.recipes.base import Phase


@pytest.fixture
def photo():
    square = skimage.data.coffee()[:192, :192]
    return torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255


class Oracle(torch.nn.Module):
    """A generator that knows the answer."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        del x
        return self.answer


@pytest.mark.parametrize("name", RECIPES)
def test_a_perfect_generator_has_no_loss_and_gives_the_photos_colours(name, photo):
    recipe = get_recipe(name)
    batch = recipe.encode(photo)
    regression = Phase("regression", 1, adversarial=False)
    losses = recipe.generator_losses(regression, batch, batch.y, torch.nn.Identity())
    assert sum(float(value) for value in losses.values()) == 0
    ab = recipe.predict_ab(Oracle(batch.y), batch.x)
    truth = rgb2lab(photo[0].permute(1, 2, 0).numpy())[..., 1:]
    assert np.abs(ab[0].permute(1, 2, 0).numpy() - truth).max() < 0.05


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_down_the_losses_lowers_them(name, photo):
    torch.manual_seed(0)
    recipe = get_recipe(name)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    optimizer, _ = recipe.optimizers(generator, discriminator, fused=True)
    phase = recipe.phases[0]
    size = 192 if name == "colorpipe" else recipe.settings.size
    batch = recipe.encode(torch.nn.functional.interpolate(photo, size=(size, size)))
    seen = []
    for _ in range(4):
        losses = recipe.generator_losses(phase, batch, generator(batch.x), discriminator)
        total = torch.stack(list(losses.values())).sum()
        seen.append(float(total))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert min(seen[1:]) < seen[0]


@pytest.mark.parametrize("name", RECIPES)
def test_the_discriminator_prefers_photos_after_a_step(name, photo):
    torch.manual_seed(0)
    recipe = get_recipe(name)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    _, optimizer = recipe.optimizers(generator, discriminator, fused=True)
    size = recipe.settings.size
    batch = recipe.encode(torch.nn.functional.interpolate(photo, size=(size, size)))
    fake = torch.rand_like(batch.y)
    before = sum(recipe.discriminator_losses(batch, fake, discriminator).values())
    optimizer.zero_grad()
    before.backward()
    optimizer.step()
    after = sum(recipe.discriminator_losses(batch, fake, discriminator).values())
    assert float(after) < float(before)


@pytest.mark.parametrize("name", RECIPES)
def test_phases_fill_the_epochs(name):
    for epochs in (1, 2, 7, 60):
        phases = get_recipe(name, {"epochs": epochs}).phases
        assert sum(phase.epochs for phase in phases) == epochs
        assert all(phase.epochs > 0 for phase in phases)


def test_colorpipe_ends_adversarially_and_never_jumps_in_its_rate():
    recipe = get_recipe("colorpipe")
    assert [phase.name for phase in recipe.phases] == ["regression", "adversarial"]
    regression, adversarial = recipe.phases
    rates = [recipe.rate_factor(regression, share / 100) for share in range(100)]
    assert max(rates) <= 1
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.25
    assert recipe.rate_factor(adversarial, 0.5) == pytest.approx(rates[-1], abs=0.01)


def test_params_override_settings_and_the_rest_is_the_systems_own():
    recipe = recipe_of(TrainParams(recipe="landscape-rgb", epochs=3))
    assert recipe.settings.epochs == 3
    assert recipe.settings.learning_rate == 5e-4
    recipe = recipe_of(TrainParams(options={"lambda_regression": 7}))
    assert recipe.settings.lambda_regression == 7


def test_what_does_not_exist_is_named_with_what_does():
    with pytest.raises(ColorpipeError, match=r"no recipe 'colorpip'.*landscape-rgb.*'colorpipe'"):
        get_recipe("colorpip")
    with pytest.raises(ColorpipeError, match=r"landscape-rgb: 'ema_' is not a known key"):
        get_recipe("landscape-rgb", {"ema_": 1})


def test_every_recipe_is_described():
    rows = describe_all()
    assert [row["recipe"] for row in rows] == list(RECIPES)
    assert all(all(row.values()) for row in rows)
