import pytest
import torch

from pipeline.networks.lite_unet import LiteUNet, pyramid

SMALL = (8, 8, 8, 16, 16)


def test_it_fits_into_16_megabytes_in_half_precision():
    assert sum(weight.numel() for weight in LiteUNet("lite1").parameters()) * 2 < 16e6


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96)])
def test_the_output_has_two_channels_at_the_input_s_size(height, width):
    network = LiteUNet(widths=SMALL).eval()
    x = torch.zeros(2, 1, height, width)
    assert network(x).shape == (2, 2, height, width)
    assert network(x, half=True).shape == (2, 2, height // 2, width // 2)


def test_it_starts_nearly_without_color():
    torch.manual_seed(0)
    output = LiteUNet().train()(torch.randn(2, 1, 64, 64))
    assert output.abs().mean() < 0.1


def test_without_hints_it_answers_as_with_none_known():
    torch.manual_seed(0)
    network = LiteUNet(widths=SMALL).eval()
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(network(x), network(x, torch.zeros(2, 3, 32, 32)))


def test_a_hint_changes_what_is_near_most():
    torch.manual_seed(0)
    network = LiteUNet(widths=SMALL).eval()
    x = torch.rand(1, 1, 128, 128)
    hints = torch.zeros(1, 3, 64, 64)
    hints[:, :, 8, 8] = 1.0
    changed = (network(x, hints) - network(x)).abs().sum(1)[0]
    assert changed[12:20, 12:20].mean() > 3 * changed[64:, 64:].mean()


def test_attention_reaches_all_of_the_picture():
    """Far outside of the convolutions' reach, and not at all without it."""
    x = torch.zeros(1, 1, 32, 960)
    hints = torch.zeros(1, 3, 16, 480)
    hints[:, :, :, :4] = 1.0
    for layers, reaches in ((1, True), (0, False)):
        torch.manual_seed(0)
        network = LiteUNet(widths=SMALL, attention=layers).eval()
        with torch.no_grad():
            far = (network(x, hints) - network(x))[..., -32:]
        assert (far != 0).any() == reaches


def test_a_single_point_is_relied_on_as_much_on_every_level():
    hints = torch.zeros(1, 3, 32, 32)
    hints[0, :, 5, 9] = torch.tensor([0.4, -0.2, 1.0])
    levels = pyramid(hints, 4)
    assert [level.shape[-1] for level in levels] == [32, 16, 8, 4]
    for level in levels:
        known = level[0, 2] > 0
        assert known.sum() == 1
        torch.testing.assert_close(level[0, :, known][:, 0], torch.tensor([0.4, -0.2, 1.0]))


def test_colors_of_a_place_are_averaged_by_their_confidence():
    hints = torch.zeros(1, 3, 2, 2)
    hints[0, :, 0, 0] = torch.tensor([1.0, 0.0, 1.0])
    hints[0, :, 1, 1] = torch.tensor([0.0, 1.0, 0.5])
    mean = pyramid(hints, 2)[1][0, :, 0, 0]
    torch.testing.assert_close(mean, torch.tensor([2 / 3, 1 / 3, 1.0]))
