import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import shipped_weights
from pipeline.models.resolve import described, exported, find_model
from pipeline.models.weights import save_generator
from pipeline.recipes import get_recipe


def train(path, recipe):
    chosen = get_recipe(recipe)
    save_generator(path, chosen.generator(), chosen)


def test_a_file_is_meant_by_its_path_whether_it_is_there_or_not(tmp_path):
    for name in ("generator.safetensors", "generator.onnx", "no-recipe"):
        assert find_model(tmp_path / name) == tmp_path / name


def test_a_recipe_means_the_file_that_it_trained(tmp_path):
    train(tmp_path / "generator.safetensors", "landscape-rgb")
    train(tmp_path / "other.safetensors", "colorpipe")
    save_file({}, tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    found = find_model(Path("landscape-rgb"), folder=tmp_path)
    assert found == tmp_path / "generator.safetensors"


def test_no_file_or_several_are_said_in_a_sentence(tmp_path):
    with pytest.raises(ColorpipeError, match=r"No model in .* recipe 'cgan'; train one"):
        find_model(Path("cgan"), folder=tmp_path)
    for name in ("a", "b"):
        train(tmp_path / f"{name}.safetensors", "landscape-rgb")
    with pytest.raises(ColorpipeError, match=r"a\.safetensors and .*b\.safetensors were all"):
        find_model(Path("landscape-rgb"), folder=tmp_path)


def test_nothing_means_what_was_trained_here_or_else_what_ships(tmp_path):
    assert find_model(None, folder=tmp_path) == shipped_weights()
    assert find_model(None, folder=tmp_path / "none") == shipped_weights()
    (tmp_path / "generator.safetensors").write_bytes(b"trained")
    assert find_model(None, folder=tmp_path) == tmp_path / "generator.safetensors"
    assert find_model(Path("pretrained"), folder=tmp_path) == shipped_weights()


def test_the_recipe_that_ships_means_what_it_trained_here_first(tmp_path):
    assert find_model(Path("colorpipe"), folder=tmp_path) == shipped_weights()
    # As in a checkout, where what ships lies among the models: that makes it no second one.
    (tmp_path / "colorpipe.safetensors").symlink_to(shipped_weights())
    train(tmp_path / "other.safetensors", "landscape-rgb")
    assert find_model(Path("colorpipe"), folder=tmp_path) == shipped_weights()
    train(tmp_path / "generator.safetensors", "colorpipe")
    found = find_model(Path("colorpipe"), folder=tmp_path)
    assert found == tmp_path / "generator.safetensors"


def test_a_folder_of_a_recipe_s_name_hides_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "colorpipe").mkdir()
    assert find_model(Path("colorpipe")) == shipped_weights()


def test_for_onnx_it_is_the_export(tmp_path):
    shipped = tmp_path / "colorpipe.onnx"
    assert find_model(None, "onnx", tmp_path) == shipped
    assert find_model(Path("pretrained"), "onnx", tmp_path) == shipped
    assert exported(shipped_weights(), tmp_path) == shipped
    assert find_model(Path("a/b.safetensors"), "onnx", tmp_path) == Path("a/b.onnx")
    (tmp_path / "generator.onnx").write_bytes(b"exported, and come alone")
    assert find_model(None, "onnx", tmp_path) == tmp_path / "generator.onnx"
    assert find_model(None, "auto", tmp_path) == tmp_path / "generator.onnx"
    assert find_model(None, "torch", tmp_path) == shipped_weights()
    # What was trained, but not exported, is not passed over for what ships.
    (tmp_path / "generator.onnx").rename(shipped)
    (tmp_path / "generator.safetensors").write_bytes(b"trained")
    assert find_model(None, "onnx", tmp_path) == tmp_path / "generator.onnx"


def test_it_is_said_which_they_are(tmp_path):
    path = tmp_path / "generator.safetensors"
    assert described(path, "cgan") == f"{path} (recipe cgan)"
    told = described(shipped_weights(), "colorpipe")
    assert told == f"the weights that ship with colorpipe, {shipped_weights()} (recipe colorpipe)"


@pytest.mark.parametrize("model", ["Path('model.onnx')", "None", "Path('pretrained')"])
def test_no_torch_is_needed_to_find_a_path_or_what_ships(model):
    code = (
        "import sys; from pathlib import Path; from pipeline.models.resolve import *;"
        f" find_model({model}, 'onnx'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
