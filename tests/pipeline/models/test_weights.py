import json

import pytest
import safetensors.torch
import torch

from pipeline.errors import ColorpipeError
from pipeline.models.weights import KEY, halve, load_generator, read_header, save_generator
from pipeline.recipes import get_recipe


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    recipe = get_recipe("colorpipe", {"working_size": 96})
    module = recipe.generator()
    path = tmp_path / "generator.safetensors"
    save_generator(path, module, recipe)
    return path, module


def test_what_is_loaded_predicts_as_what_was_saved(saved):
    path, module = saved
    generator = load_generator(path)
    x = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(generator.module(x), module.eval()(x))
    assert all(
        torch.equal(value, module.state_dict()[name])
        for name, value in generator.module.state_dict().items()
    )
    assert generator.size == 96
    assert generator.recipe.name == "colorpipe"
    assert not generator.module.training


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    path, module = saved
    again = tmp_path / "again.safetensors"
    save_generator(again, module, get_recipe("colorpipe", {"working_size": 96}))
    assert again.read_bytes() == path.read_bytes()


def test_half_precision_halves_the_file_and_loads_as_float32(saved, tmp_path):
    path, module = saved
    with torch.no_grad():
        module.output.bias.fill_(0.1)  # no number of float16's
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.fill_(1e6)  # beyond float16
    halved = tmp_path / "halved.safetensors"
    save_generator(halved, module, get_recipe("colorpipe", {"working_size": 96}), half=True)
    assert halved.stat().st_size < 0.51 * path.stat().st_size
    generator = load_generator(halved)
    learned = dict(module.named_parameters())
    for name, value in generator.module.state_dict().items():
        expected = module.state_dict()[name]
        assert value.dtype == expected.dtype
        if name in learned:
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
            assert torch.equal(value, value.half().float())
        else:
            assert torch.equal(value, expected)
    assert generator.size == 96


def test_a_file_is_halved_as_the_module_would_be(saved, tmp_path):
    path, module = saved
    halve(path, tmp_path / "a.safetensors")
    save_generator(
        tmp_path / "b.safetensors", module, get_recipe("colorpipe", {"working_size": 96}), half=True
    )
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_half_precision_that_cannot_be_written_is_a_sentence(saved, tmp_path):
    path, _ = saved
    (tmp_path / "file").touch()
    with pytest.raises(ColorpipeError, match="could not be written: "):
        halve(path, tmp_path / "file" / "half.safetensors")


def test_a_model_is_not_halved_in_its_own_place(saved, tmp_path):
    path, _ = saved
    before = path.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(path)
    for out in (path, tmp_path / "link.safetensors"):
        with pytest.raises(ColorpipeError, match="is the model itself, which would lose its full"):
            halve(path, out)
    assert path.read_bytes() == before


def test_a_weight_that_half_precision_cannot_hold_is_refused(saved, tmp_path):
    _, module = saved
    with torch.no_grad():
        module.output.bias.fill_(1e5)
    with pytest.raises(ColorpipeError, match=r"output\.bias do not fit half precision"):
        save_generator(
            tmp_path / "big", module, get_recipe("colorpipe", {"working_size": 96}), half=True
        )
    assert not (tmp_path / "big").exists()


def test_the_header_says_recipe_colors_size_and_versions(saved):
    header = read_header(saved[0])
    assert header["recipe"] == "colorpipe"
    assert header["color_space"] == "Lab"
    assert header["size"] == 96
    assert header["torch"].startswith("2.")
    assert header["colorpipe"]


def test_untrusted_files_are_refused_in_a_sentence(saved, tmp_path):
    path, module = saved
    with pytest.raises(ColorpipeError, match=r"no model at .*nothing\.safetensors"):
        load_generator(tmp_path / "nothing.safetensors")
    pickled = tmp_path / "pickled.pt"
    torch.save(module.state_dict(), pickled)
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        load_generator(pickled)
    foreign = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(1)}, foreign)
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        load_generator(foreign)
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        load_generator(truncated)
    for changed in ({"recipe": 3}, {"settings": None}, {"size": "large"}):
        lacking = tmp_path / "lacking.safetensors"
        header = {**read_header(path), **changed}
        lacking_key = {key: value for key, value in header.items() if key not in changed}
        for each in (header, lacking_key):
            safetensors.torch.save_file(
                {"weight": torch.zeros(1)}, lacking, {KEY: json.dumps(each)}
            )
            with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
                load_generator(lacking)
    emptied = tmp_path / "emptied.safetensors"
    safetensors.torch.save_file(
        {"weight": torch.zeros(1)}, emptied, {KEY: json.dumps(read_header(path))}
    )
    with pytest.raises(ColorpipeError, match="does not hold the weights of a 'colorpipe'"):
        load_generator(emptied)
