import torch
from torch import nn

from pipeline.networks.landscape import LandscapeDiscriminator, LandscapeGenerator


def convolutions(module, kind):
    return [(c.out_channels, c.kernel_size[0]) for c in module.modules() if isinstance(c, kind)]


def test_the_generator_has_the_layers_of_the_page():
    assert convolutions(LandscapeGenerator(), nn.Conv2d) == [
        (16, 5), (32, 3), (32, 3),
        (32, 5), (64, 3), (64, 3),
        (64, 5), (128, 3), (128, 3),
        (128, 3),
    ]  # fmt: skip
    assert convolutions(LandscapeGenerator(), nn.ConvTranspose2d) == [
        (128, 3), (128, 3), (64, 5),
        (64, 3), (64, 3), (32, 5),
        (32, 3), (32, 3), (3, 5),
    ]  # fmt: skip


def test_gray_of_any_size_becomes_rgb_of_that_size():
    generator = LandscapeGenerator().eval()
    for height, width in ((200, 200), (61, 90), (20, 40)):
        rgb = generator(torch.rand(1, 1, height, width))
        assert rgb.shape == (1, 3, height, width)
        assert rgb.min() >= 0


def test_the_discriminator_has_the_layers_of_the_page():
    discriminator = LandscapeDiscriminator()
    assert convolutions(discriminator, nn.Conv2d) == [
        (32, 7), (32, 7), (64, 5), (64, 5), (128, 3), (128, 3), (256, 3), (256, 3)
    ]  # fmt: skip
    dense = [
        layer.out_features for layer in discriminator.modules() if isinstance(layer, nn.Linear)
    ]
    assert dense == [512, 128, 16, 1]
    assert discriminator(torch.rand(2, 3, 200, 200)).shape == (2, 1)


def test_with_two_channels_colors_may_be_negative():
    torch.manual_seed(0)
    generator = LandscapeGenerator(channels_out=2).eval()
    ab = generator(torch.rand(1, 1, 40, 40))
    assert ab.shape == (1, 2, 40, 40)
    assert -1 <= ab.min() < 0 < ab.max() <= 1
    assert convolutions(generator, nn.ConvTranspose2d)[-1] == (2, 5)
