import pytest
import torch
from torch import nn

from pipeline.networks.skip_unet import SkipUNet


def filters(module, kind):
    return [layer.out_channels for layer in module.modules() if isinstance(layer, kind)]


def test_the_layers_are_those_of_pix2pix():
    with torch.device("meta"):
        network = SkipUNet()
    assert filters(network, nn.Conv2d) == [64, 128, 256, 512, 512, 512, 512, 512]
    assert filters(network, nn.ConvTranspose2d) == [512, 512, 512, 512, 256, 128, 64, 2]
    assert {
        (layer.kernel_size, layer.stride, layer.padding)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    } == {((4, 4), (2, 2), (1, 1))}
    # CD512-CD512-CD512-C512...: dropout in the three innermost.
    dropped = [any(isinstance(layer, nn.Dropout) for layer in up) for up in network.ups]
    assert dropped == [True, True, True, False, False, False, False]


def test_it_has_as_many_parameters_as_the_authors_network():
    # 54.414 million: what pytorch-CycleGAN-and-pix2pix prints for unet_256, 3 channels to 3.
    with torch.device("meta"):
        network = SkipUNet(3, 3)
    assert sum(weight.numel() for weight in network.parameters()) == 54_413_955


@pytest.mark.parametrize("halvings", [5, 7, 8])
def test_it_goes_down_to_one_pixel_and_back(halvings):
    network = SkipUNet(halvings=halvings, width=8).eval()
    size = 2**halvings
    assert network.multiple == size
    seen = []
    network.downs[-1].register_forward_hook(lambda module, x, y: seen.append(tuple(y.shape)))
    output = network(torch.zeros(1, 1, size, 2 * size))
    assert seen == [(1, 64, 1, 2)]
    assert output.shape == (1, 2, size, 2 * size)
    assert output.abs().max() <= 1


def test_with_instance_norm_the_batch_does_not_matter():
    torch.manual_seed(0)
    network = SkipUNet(width=8, halvings=5, norm="instance", dropout=0.0).train()
    pictures = torch.randn(2, 1, 64, 64)
    together = network(pictures)
    torch.testing.assert_close(network(pictures[:1]), together[:1])
