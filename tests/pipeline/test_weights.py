import json

import pytest
import safetensors.torch
import torch

from pipeline.errors import ColorpipeError
from pipeline.recipes import get_recipe
from pipeline.weights import KEY, load_generator, read_header, save_generator


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    recipe = get_recipe("colorpipe", {"size": 96})
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
    save_generator(again, module, get_recipe("colorpipe", {"size": 96}))
    assert again.read_bytes() == path.read_bytes()


def test_the_header_says_recipe_colours_size_and_versions(saved):
    header = read_header(saved[0])
    assert header["recipe"] == "colorpipe"
    assert header["color_space"] == "Lab"
    assert header["size"] == 96
    assert header["torch"].startswith("2.")
    assert header["colorpipe"]


def test_strangers_files_are_refused_in_a_sentence(saved, tmp_path):
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
    emptied = tmp_path / "emptied.safetensors"
    safetensors.torch.save_file(
        {"weight": torch.zeros(1)}, emptied, {KEY: json.dumps(read_header(path))}
    )
    with pytest.raises(ColorpipeError, match="does not hold the weights of a 'colorpipe'"):
        load_generator(emptied)
