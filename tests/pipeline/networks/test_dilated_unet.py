import torch
from torch import nn

from pipeline.networks.dilated_unet import DilatedUNet, StridedDiscriminator


def test_the_generator_has_the_layers_of_the_page():
    with torch.device("meta"):
        network = DilatedUNet()
    convolutions = [
        (layer.out_channels, layer.kernel_size[0], layer.stride[0], layer.dilation[0])
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    expected = []
    for width in (32, 64, 128, 256, 512, 512):
        expected += [(width, 4, 1, 4), (width, 4, 2, 1)]
    assert convolutions == [*expected, (512, 4, 2, 1)]
    transposed = [
        layer.out_channels for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)
    ]
    assert transposed == [512, 512, 256, 128, 64, 32, 2]
    norms = [any(isinstance(layer, nn.BatchNorm2d) for layer in down) for down in network.downs]
    assert norms == [False, True, True, True, True, True]
    rates = [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert rates == [0.5, 0.5, 0.5, 0.5, 0.0, 0.0]
    slopes = {
        layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)
    }
    assert slopes == {0.2}


def test_the_bottleneck_of_a_published_picture_is_one_pixel():
    network = DilatedUNet(widths=(4, 4, 8, 8, 8, 8), bottleneck=8).eval()
    assert network.multiple == 128
    seen = []
    network.bottleneck.register_forward_hook(lambda module, x, y: seen.append(tuple(y.shape)))
    output = network(torch.randn(1, 1, 128, 256))
    assert seen == [(1, 8, 1, 2)]
    assert output.shape == (1, 2, 128, 256)
    assert output.abs().max() <= 1


def test_weights_are_drawn_with_the_published_spread():
    torch.manual_seed(0)
    weight = DilatedUNet().bottleneck[0].weight
    assert abs(float(weight.detach().std()) - 0.02) < 0.0005


def test_the_discriminator_halves_four_times_and_ends_in_logits():
    network = StridedDiscriminator()
    convolutions = [
        (layer.out_channels, layer.stride[0])
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert convolutions == [(64, 2), (128, 2), (256, 2), (512, 2), (1, 1)]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 3
    logits = network.eval()(torch.randn(2, 3, 128, 128) * 100)
    assert logits.shape == (2, 1, 8, 8)
    assert logits.min() < 0
