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
