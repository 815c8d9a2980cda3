import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.resolve import describe_model, export_of, find_model
from pipeline.models.weights import save_generator
from pipeline.recipes import get_recipe


def train(path, recipe):
    chosen = get_recipe(recipe)
    save_generator(path, chosen.generator(), chosen)


def test_a_path_means_that_file_even_if_it_does_not_exist(tmp_path):
    for name in ("generator.safetensors", "generator.onnx", "no-recipe"):
        assert find_model(tmp_path / name) == tmp_path / name


def test_a_recipe_means_the_file_that_it_trained(tmp_path):
    train(tmp_path / "generator.safetensors", "landscape-rgb")
    train(tmp_path / "other.safetensors", "colorpipe")
    save_file({}, tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    found = find_model(Path("landscape-rgb"), folder=tmp_path)
    assert found == tmp_path / "generator.safetensors"


def test_no_file_or_several_are_reported(tmp_path):
    with pytest.raises(ColorpipeError, match=r"No model in .* recipe 'cgan'; train one"):
        find_model(Path("cgan"), folder=tmp_path)
    for name in ("a", "b"):
        train(tmp_path / f"{name}.safetensors", "landscape-rgb")
    with pytest.raises(ColorpipeError, match=r"a\.safetensors and .*b\.safetensors were all"):
        find_model(Path("landscape-rgb"), folder=tmp_path)


def test_none_means_what_was_trained_here_or_else_pretrained(tmp_path):
    assert find_model(None, folder=tmp_path) == pretrained_weights()
    assert find_model(None, folder=tmp_path / "none") == pretrained_weights()
    (tmp_path / "generator.safetensors").write_bytes(b"trained")
    assert find_model(None, folder=tmp_path) == tmp_path / "generator.safetensors"
    assert find_model(Path("pretrained"), folder=tmp_path) == pretrained_weights()


def test_the_pretrained_recipe_means_what_it_trained_here_first(tmp_path):
    assert find_model(Path("colorpipe"), folder=tmp_path) == pretrained_weights()
    # As in a checkout, where the pretrained weights are among the models, but count once.
    (tmp_path / "colorpipe.safetensors").symlink_to(pretrained_weights())
    train(tmp_path / "other.safetensors", "landscape-rgb")
    assert find_model(Path("colorpipe"), folder=tmp_path) == pretrained_weights()
    train(tmp_path / "generator.safetensors", "colorpipe")
    found = find_model(Path("colorpipe"), folder=tmp_path)
    assert found == tmp_path / "generator.safetensors"


def test_a_folder_of_a_recipe_s_name_hides_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "colorpipe").mkdir()
    assert find_model(Path("colorpipe")) == pretrained_weights()


def test_for_onnx_it_is_the_export(tmp_path):
    pretrained = tmp_path / "colorpipe.onnx"
    assert find_model(None, "onnx", tmp_path) == pretrained
    assert find_model(Path("pretrained"), "onnx", tmp_path) == pretrained
    assert export_of(pretrained_weights(), tmp_path) == pretrained
    assert find_model(Path("a/b.safetensors"), "onnx", tmp_path) == Path("a/b.onnx")
    (tmp_path / "generator.onnx").write_bytes(b"exported, and come alone")
    assert find_model(None, "onnx", tmp_path) == tmp_path / "generator.onnx"
    assert find_model(None, "auto", tmp_path) == tmp_path / "generator.onnx"
    assert find_model(None, "torch", tmp_path) == pretrained_weights()
    # What was trained, but not exported, is preferred to pretrained weights.
    (tmp_path / "generator.onnx").rename(pretrained)
    (tmp_path / "generator.safetensors").write_bytes(b"trained")
    assert find_model(None, "onnx", tmp_path) == tmp_path / "generator.onnx"


def test_a_model_is_described_by_path_and_recipe(tmp_path):
    path = tmp_path / "generator.safetensors"
    assert describe_model(path, "cgan") == f"{path} (recipe cgan)"
    described = describe_model(pretrained_weights(), "colorpipe")
    assert described == f"the pretrained weights {pretrained_weights()} (recipe colorpipe)"


@pytest.mark.parametrize("model", ["Path('model.onnx')", "None", "Path('pretrained')"])
def test_no_torch_is_needed_to_find_a_path_or_what_ships(model):
    code = (
        "import sys; from pathlib import Path; from pipeline.models.resolve import *;"
        f" find_model({model}, 'onnx'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ColorpipeError, match="is a folder, but a model is a file; name"):
        find_model(tmp_path)
