"""Each recipe's losses against numbers worked out by hand.

Networks are stand-ins that answer with constants: the generator 0.5 where the photo has 0.25, the
discriminator a logit of 2 for what it takes for real and of -1 for the rest.
"""

import math

import pytest
import torch
from torch import nn

from pipeline.recipes import get_recipe
from pipeline.recipes.shared.base import Batch, Phase
from pipeline.recipes.shared.losses import cross_entropy, least_squares

ADVERSARIAL = Phase("training", 1, adversarial=True)
ALONE = Phase("training", 1, adversarial=False)
REAL, FAKE = 2.0, -1.0
TRUTH, MADE = 0.25, 0.5


def softplus(value):
    """-log(1 - sigmoid(value)): the cross-entropy of a logit against 0."""
    return math.log1p(math.exp(value))


class Made(nn.Module):
    """Gives ``channels`` of MADE."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x, hints=None, *, half=False):
        sides = [side // 2 if half else side for side in x.shape[2:]]
        return torch.full((len(x), self.channels, *sides), MADE)


class Critic(nn.Module):
    """Takes a picture for real when its last channel is that of the photo."""

    def forward(self, picture):
        real = torch.isclose(picture[:, -1:], torch.tensor(TRUTH))
        return torch.where(real, REAL, FAKE)[:, :, :1, :1]


def losses(name, phase=ADVERSARIAL, step=0, channels=2, x=TRUTH, **settings):
    recipe = get_recipe(name, settings)
    side = 2 if name == "colorpipe" else 4  # it learns color at half the size
    batch = Batch(torch.full((2, 1, 4, 4), x), torch.full((2, channels, side, side), TRUTH))
    networks = {"generator": Made(channels), "discriminator": Critic()}
    return {
        update.optimizer: {key: float(value) for key, value in update.losses.items()}
        for update in recipe.updates(phase, step, batch, networks)
    }


def test_least_squares_and_cross_entropy_are_their_formulas():
    logits = torch.tensor([0.0, 3.0])
    assert float(least_squares(logits, 1.0)) == pytest.approx((1 + 4) / 2)
    assert float(cross_entropy(logits, 1.0)) == pytest.approx((softplus(0) + softplus(-3)) / 2)
    assert float(cross_entropy(logits, 0.0)) == pytest.approx((softplus(0) + softplus(3)) / 2)
    half = torch.tensor([0.5, 0.5])
    expected = (softplus(0) + 0.5 * softplus(3) + 0.5 * softplus(-3)) / 2
    assert float(cross_entropy(logits, half)) == pytest.approx(expected)


def test_landscape_rgb():
    found = losses("landscape-rgb", channels=3)
    assert found["discriminator"] == pytest.approx(
        {"real": softplus(-REAL), "fake": softplus(FAKE)}
    )
    assert found["generator"] == pytest.approx({"mse": (MADE - TRUTH) ** 2})


@pytest.mark.parametrize("name", ["dilated-unet", "heartbeat"])
def test_both_generators_of_the_cli_gan(name):
    found = losses(name, label_noise=0.0)
    assert found["discriminator"] == pytest.approx(
        {"real": softplus(-REAL), "fake": softplus(FAKE)}
    )
    assert found["generator"] == pytest.approx({"mse": (MADE - TRUTH) ** 2})
    torch.manual_seed(0)
    noisy = losses(name)["discriminator"]
    # A label of 0.9 to 1: between all of the one term and a tenth of the other.
    assert softplus(-REAL) < noisy["real"] < 0.9 * softplus(-REAL) + 0.1 * softplus(REAL)
    assert softplus(FAKE) < noisy["fake"] < 0.9 * softplus(FAKE) + 0.1 * softplus(-FAKE)


def test_pix2pix():
    found = losses("pix2pix")
    assert list(found) == ["discriminator", "generator"]
    assert found["discriminator"] == pytest.approx(
        {"real": 0.5 * (REAL - 1) ** 2, "fake": 0.5 * FAKE**2}
    )
    assert found["generator"] == pytest.approx(
        {"l1": 100 * (MADE - TRUTH), "adversarial": (FAKE - 1) ** 2}
    )


def test_unet():
    assert losses("unet") == {"generator": pytest.approx({"l1": 100 * (MADE - TRUTH)})}


def test_cgan():
    found = losses("cgan")
    assert found["discriminator"] == pytest.approx(
        {"real": 0.5 * softplus(-REAL), "fake": 0.5 * softplus(FAKE)}
    )
    assert found["generator"] == pytest.approx(
        {"l1": 100 * (MADE - TRUTH), "adversarial": softplus(-FAKE)}
    )
    pretraining = losses("cgan-pretrained", ALONE)
    assert pretraining == {"generator": pytest.approx({"l1": 100 * (MADE - TRUTH)})}


def test_cgan_is_pretrained_at_its_own_rate():
    recipe = get_recipe("cgan-pretrained")
    first, second = recipe.phases
    assert (first.epochs, second.epochs) == (20, 20)
    assert (first.adversarial, second.adversarial) == (False, True)
    assert recipe.rate_factor("generator", first, 0.5) * 2e-4 == pytest.approx(1e-4)
    assert recipe.rate_factor("generator", second, 0.5) == 1


def test_dcgan_smooths_labels_and_skips_every_second_batch():
    found = losses("dcgan", channels=3)
    assert found["discriminator"] == pytest.approx(
        {
            "real": 0.9 * softplus(-REAL) + 0.1 * softplus(REAL),
            "fake": 0.9 * softplus(FAKE) + 0.1 * softplus(-FAKE),
        }
    )
    adversarial = 0.9 * softplus(-FAKE) + 0.1 * softplus(FAKE)
    expected = pytest.approx({"l1": 100 * (MADE - TRUTH), "adversarial": adversarial})
    assert found["generator"] == expected
    assert losses("dcgan", step=1, channels=3) == {"generator": expected}
    assert list(losses("dcgan", step=2, channels=3)) == ["discriminator", "generator"]


def test_dcgan_without_a_discriminator_is_the_papers_baseline():
    recipe = get_recipe("dcgan", {"adversarial": False})
    assert list(recipe.networks()) == ["generator"]
    (phase,) = recipe.phases
    found = losses("dcgan", phase, channels=3, adversarial=False)
    assert found == {"generator": pytest.approx({"l1": 100 * (MADE - TRUTH)})}


def test_cyclegan():
    recipe = get_recipe("cyclegan")
    batch = Batch(torch.full((2, 1, 4, 4), TRUTH), torch.full((2, 3, 4, 4), TRUTH))
    networks = {
        "generator": Made(3),
        "gray_generator": Made(1),
        "color_discriminator": Critic(),
        "gray_discriminator": Critic(),
        "color_pool": nn.Identity(),
        "gray_pool": nn.Identity(),
    }
    generators, discriminators = recipe.updates(ADVERSARIAL, 0, batch, networks)
    assert generators.optimizer == "generator"
    cycle, adversarial = 10 * (MADE - TRUTH), (FAKE - 1) ** 2
    assert {key: float(value) for key, value in generators.losses.items()} == pytest.approx(
        {
            "adversarial_color": adversarial,
            "adversarial_gray": adversarial,
            "cycle_gray": cycle,
            "cycle_color": cycle,
        }
    )
    assert discriminators.optimizer == "discriminator"
    real, fake = 0.5 * (REAL - 1) ** 2, 0.5 * FAKE**2
    assert {key: float(value) for key, value in discriminators.losses.items()} == pytest.approx(
        {"real_color": real, "fake_color": fake, "real_gray": real, "fake_gray": fake}
    )
    assert not recipe.paired


def test_colorpipe():
    found = losses("colorpipe")
    assert found["discriminator"] == pytest.approx(
        {"real": 0.5 * (REAL - 1) ** 2, "fake": 0.5 * FAKE**2}
    )
    squared = 2 * (MADE - TRUTH) ** 2 + 0.05**2
    regression = 5 * math.sqrt(squared)
    assert found["generator"] == pytest.approx(
        {"regression": regression, "adversarial": (FAKE - 1) ** 2}, rel=1e-5
    )
    assert losses("colorpipe", ALONE)["generator"] == pytest.approx(
        {"regression": regression}, rel=1e-5
    )
    assert losses("colorpipe", ALONE, exponent=1.5)["generator"] == pytest.approx(
        {"regression": 5 * squared**0.75}, rel=1e-5
    )
