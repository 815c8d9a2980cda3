import pytest
import torch

from pipeline.networks.efficientnet_lite import EfficientNetLite


@pytest.mark.parametrize(
    ("variant", "millions", "channels"),
    [
        ("lite0", 3.37, [16, 24, 40, 112, 320]),
        ("lite1", 4.14, [16, 24, 40, 112, 320]),
        ("lite2", 4.81, [16, 24, 48, 120, 352]),
    ],
)
def test_the_variants_have_their_published_sizes(variant, millions, channels):
    network = EfficientNetLite(variant).eval()
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)
    levels, whole = network(torch.zeros(2, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (2, width, 64 // scale, 96 // scale)
        for width, scale in zip(channels, (2, 4, 8, 16, 32), strict=True)
    ]
    assert whole.shape == (2, 1280)


@pytest.mark.parametrize("side", [260, 195])
def test_padding_as_tensorflow_s_puts_the_odd_pixel_last(side):
    """TensorFlow's "same": as many outputs as inputs by stride, rounded up; less padding first."""
    torch.manual_seed(0)
    network = EfficientNetLite("lite0", tensorflow_padding=True).eval()
    levels, _ = network(torch.rand(1, 3, side, side))
    sides = []
    for _ in range(5):
        side = -(-side // 2)
        sides.append(side)
    assert [level.shape[2] for level in levels] == sides
    # The stem sees rows 0 to 2, where a symmetric padding has it see -1 to 1.
    x = torch.zeros(1, 3, 64, 64)
    x[..., 2, 2] = 1
    plain = EfficientNetLite("lite0").eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    first = [
        (each.stem(x) - each.stem(0 * x)).abs().sum(1)[0, 0, 0] > 0 for each in (network, plain)
    ]
    assert first == [True, False]


def test_frozen_stages_stay_as_they_are_in_training():
    torch.manual_seed(0)
    network = EfficientNetLite("lite0", frozen=2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    levels, whole = network(torch.rand(4, 3, 64, 64))
    (whole.sum() + sum(level.sum() for level in levels)).backward()
    optimizer.step()
    changed = {
        name.split(".")[0] + "." + name.split(".")[1]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert not changed & {"stem.0", "stem.1", "stages.0", "stages.1"}
    assert {"stages.2", "stages.6", "head.0", "head.1"} <= changed


def test_training_in_bfloat16_gives_the_gradients_of_float32():
    torch.manual_seed(0)
    network = EfficientNetLite("lite0").train()
    photos = torch.rand(8, 3, 64, 64)

    def gradient(enabled):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            levels, _ = network(photos)
            loss = levels[1].float().square().mean()
        loss.backward()
        return network.stages[1][0].layers[1].weight.grad.flatten().clone()

    plain, low = gradient(False), gradient(True)
    assert torch.cosine_similarity(plain, low, dim=0) > 0.98
