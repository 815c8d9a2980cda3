"""What training starts from, and what it refuses to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stand_ins
import torch

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.weights import load_generator, save_generator
from pipeline.params import TrainParams
from pipeline.recipes import get_recipe
from pipeline.training.init_weights import InitialWeights, load_initial_weights
from pipeline.training.plan import plan_of


def start(**params: Any) -> InitialWeights | None:
    return load_initial_weights(plan_of(TrainParams(**params)))


def saved(path: Path, name: str, **settings: Any) -> str:
    torch.manual_seed(0)
    recipe = get_recipe(name, settings)
    save_generator(path, recipe.generator(), recipe)
    return str(path)


def test_colorpipe_starts_from_pretrained_weights() -> None:
    found = start()
    assert found is not None
    assert found.path == pretrained_weights()
    expected = load_generator(pretrained_weights()).module.state_dict()
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(value, found.tensors[name]) for name, value in expected.items())
    again = start(init="pretrained")
    assert again is not None
    assert again.sha256 == found.sha256


def test_the_other_recipes_start_from_scratch() -> None:
    assert start(init="scratch") is None
    assert start(recipe="landscape-rgb") is None


def test_training_starts_from_weights_of_ones_own(tmp_path: Path) -> None:
    paths = [stand_ins.generator(tmp_path / f"{seed}.safetensors", seed) for seed in (0, 1)]
    found = [start(init=str(path), epochs=3, size=96) for path in paths]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].path == paths[0]
    assert found[0].sha256 != found[1].sha256


def test_any_recipe_can_start_from_weights_of_its_own(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "landscape-rgb")
    assert start(recipe="landscape-rgb", init=path) is not None


@pytest.mark.parametrize("how", [{"init": "pretrained"}, {"preset": "fine-tune"}])
def test_a_recipe_without_pretrained_weights_is_named(how: dict[str, str]) -> None:
    with pytest.raises(ColorpipeError, match=r"no pretrained weights of the recipe cgan, only of"):
        start(recipe="cgan", **how)


@pytest.mark.parametrize("init", ["pretraned", "models/none.safetensors"])
def test_a_missing_file_is_named_with_the_words_that_are_known(init: str) -> None:
    with pytest.raises(ColorpipeError, match=rf"'{init}', but there is no such.*'scratch'\.$"):
        start(init=init)


def test_another_network_is_refused_with_what_differs() -> None:
    with pytest.raises(ColorpipeError, match=r"another one \(width 32 there, 8 here\); let"):
        start(options={"width": 8}, epochs=3)


def test_what_differs_is_named_if_one_side_alone_allows_it(tmp_path: Path) -> None:
    # Eight halvings do not go with 32 px, but five go with 256 px.
    path = saved(tmp_path / "a.safetensors", "pix2pix", size=32, halvings=5, width=4)
    with pytest.raises(ColorpipeError, match=r"\(halvings 5 there, 8 here\); let"):
        start(recipe="pix2pix", init=path, options={"width": 4})


def test_weights_of_another_recipe_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "landscape-rgb")
    with pytest.raises(ColorpipeError, match=r"recipe landscape-rgb, and train\.recipe is 'color"):
        start(init=path)


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("no weights")
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        start(init=str(path))
