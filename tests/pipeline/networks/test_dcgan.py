import torch
from torch import nn

from pipeline.networks.dcgan import PoolingDiscriminator, PoolingUNet


def convolutions(module):
    return [
        (layer.out_channels, layer.kernel_size[0])
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def test_the_generator_has_the_layers_of_the_paper():
    with torch.device("meta"):
        network = PoolingUNet()
    widths = (64, 128, 256, 512, 1024)
    assert [convolutions(down) for down in network.downs] == [[(w, 3)] * 2 for w in widths]
    assert [convolutions(up) for up in network.ups] == [[(w, 3)] * 2 for w in (512, 256, 128, 64)]
    assert convolutions(network.halvers) == [(512, 2), (256, 2), (128, 2), (64, 2)]
    assert convolutions(network.head) == [(3, 1)]


def test_sizes_are_kept_and_five_levels_are_passed():
    network = PoolingUNet(widths=(4, 8, 8, 8, 8)).eval()
    assert network.multiple == 16
    seen = []
    network.downs[-1].register_forward_hook(lambda module, x, y: seen.append(tuple(y.shape)))
    output = network(torch.randn(1, 1, 64, 32))
    assert seen == [(1, 8, 4, 2)]
    assert output.shape == (1, 3, 64, 32)
    assert output.abs().max() <= 1


def test_the_discriminator_gives_one_value_a_picture():
    network = PoolingDiscriminator(256)
    assert convolutions(network) == [(64, 3), (128, 3), (256, 3), (512, 3), (512, 3), (1, 8)]
    rates = [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert rates == [0.2] * 5
    small = PoolingDiscriminator(64, widths=(4, 4, 4, 4, 4)).eval()
    assert small(torch.randn(3, 4, 64, 64)).shape == (3, 1)
