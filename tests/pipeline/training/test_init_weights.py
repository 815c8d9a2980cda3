"""What training starts from, and what it refuses to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stand_ins
import torch

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import shipped_weights
from pipeline.models.weights import load_generator, save_generator
from pipeline.params import TrainParams
from pipeline.recipes import get_recipe, recipe_of
from pipeline.training.init_weights import StartingWeights, starting_weights


def start(**params: Any) -> StartingWeights | None:
    asked = TrainParams(**params)
    return starting_weights(asked, recipe_of(asked))


def saved(path: Path, name: str, **settings: Any) -> str:
    torch.manual_seed(0)
    recipe = get_recipe(name, settings)
    save_generator(path, recipe.generator(), recipe)
    return str(path)


def test_colorpipe_starts_from_the_weights_that_ship() -> None:
    found = start()
    assert found is not None
    assert found.path == shipped_weights()
    expected = load_generator(shipped_weights()).module.state_dict()
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(value, found.tensors[name]) for name, value in expected.items())
    again = start(init="pretrained")
    assert again is not None
    assert again.fingerprint == found.fingerprint


def test_scratch_is_nothing_and_what_other_recipes_start_from() -> None:
    assert start(init="scratch") is None
    assert start(recipe="landscape-rgb") is None


def test_one_s_own_weights_are_a_start_and_other_weights_another(tmp_path: Path) -> None:
    paths = [stand_ins.generator(tmp_path / f"{seed}.safetensors", seed) for seed in (0, 1)]
    found = [start(init=str(path), epochs=3, size=96) for path in paths]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].path == paths[0]
    assert found[0].fingerprint != found[1].fingerprint


def test_any_recipe_starts_from_its_own_weights(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "landscape-rgb")
    assert start(recipe="landscape-rgb", init=path) is not None


def test_weights_that_do_not_ship_are_refused() -> None:
    with pytest.raises(
        ColorpipeError, match=r"'pretrained', but .*recipe colorpipe alone.*cgan\.$"
    ):
        start(recipe="cgan", init="pretrained")


@pytest.mark.parametrize("init", ["pretraned", "models/none.safetensors"])
def test_a_file_that_is_not_there_is_named_with_the_words_that_there_are(init: str) -> None:
    with pytest.raises(ColorpipeError, match=rf"'{init}', but there is no such.*'scratch'\.$"):
        start(init=init)


def test_another_network_is_refused_with_the_setting_that_makes_it_another() -> None:
    with pytest.raises(ColorpipeError, match=r"another one \(width 32 there, 8 here\); let"):
        start(options={"width": 8}, epochs=3)


def test_another_recipe_s_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "landscape-rgb")
    with pytest.raises(ColorpipeError, match=r"recipe landscape-rgb, and train\.recipe is 'color"):
        start(init=path)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("no weights")
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        start(init=str(path))
