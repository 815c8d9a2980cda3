import pytest
import torch

from pipeline.networks.compact_unet import CompactUNet


def test_it_has_at_most_eight_million_parameters():
    assert sum(weight.numel() for weight in CompactUNet().parameters()) <= 8_000_000


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96)])
def test_the_output_has_two_channels_at_the_size_of_the_input(height, width):
    network = CompactUNet().eval()
    assert network(torch.zeros(2, 1, height, width)).shape == (2, 2, height, width)


def test_a_size_that_is_no_multiple_is_refused_by_torch():
    network = CompactUNet(widths=(4, 8, 8)).eval()
    assert network.multiple == 8
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, 36, 36))


def test_every_position_depends_on_the_whole_picture():
    torch.manual_seed(0)
    network = CompactUNet(widths=(8, 16, 16)).eval()
    dark = torch.zeros(1, 1, 256, 256)
    spot = dark.clone()
    spot[..., :16, :16] = 5.0
    changed = (network(dark) - network(spot)).abs()
    assert changed[..., -8:, -8:].min() > 0


def test_it_tells_what_it_knows_of_the_whole_picture():
    network = CompactUNet(widths=(4, 8, 12)).eval()
    photos = torch.rand(3, 1, 32, 64)
    colors, features = network(photos, with_features=True)
    assert torch.equal(colors, network(photos))
    assert features.shape == (3, 12)


def test_it_starts_nearly_without_color():
    torch.manual_seed(0)
    output = CompactUNet().train()(torch.randn(2, 1, 64, 64))
    assert output.abs().mean() < 0.1


def test_dropout_leaves_out_whole_channels_in_training_alone():
    torch.manual_seed(0)
    network = CompactUNet(widths=(4, 8, 64), dropout=0.25)
    left_out = {}

    def look(name):
        def hook(module, inputs, output):
            del module, inputs
            left_out[name] = (output == 0).all(dim=(2, 3)).float().mean().item()

        return hook

    for name in ("drop_innermost", "drop_next"):
        getattr(network, name).register_forward_hook(look(name))
    photos = torch.rand(64, 1, 32, 32)
    network.train()(photos)
    assert abs(left_out["drop_innermost"] - 0.25) < 0.05
    assert abs(left_out["drop_next"] - 0.125) < 0.06
    network.eval()
    assert torch.equal(network(photos), network(photos))
    assert left_out["drop_innermost"] < 0.01
