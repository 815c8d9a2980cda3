import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from pipeline.colorizing.model_choice import find_model
from pipeline.errors import ColorpipeError
from pipeline.recipes import get_recipe
from pipeline.weights import save_generator


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
    found = find_model(Path("landscape-rgb"), tmp_path)
    assert found == tmp_path / "generator.safetensors"


def test_no_file_or_several_are_said_in_a_sentence(tmp_path):
    with pytest.raises(ColorpipeError, match=r"No model in .* recipe 'cgan'; train one"):
        find_model(Path("cgan"), tmp_path)
    for name in ("a", "b"):
        train(tmp_path / f"{name}.safetensors", "landscape-rgb")
    with pytest.raises(ColorpipeError, match=r"a\.safetensors and .*b\.safetensors were all"):
        find_model(Path("landscape-rgb"), tmp_path)


def test_a_path_is_found_without_torch():
    code = (
        "import sys; from pathlib import Path; from pipeline.colorizing.model_choice import *;"
        " find_model(Path('model.onnx')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
