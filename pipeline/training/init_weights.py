"""The weights that training starts from, where they are not fresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE, pretrained_weights
from pipeline.models.resolve import digest_of
from pipeline.models.weights import load_generator
from pipeline.recipes import get_recipe
from pipeline.recipes.shared.base import Recipe
from pipeline.training.plan import SCRATCH, Plan


@dataclass(frozen=True)
class InitialWeights:
    """A trained generator's weights."""

    path: Path
    tensors: Mapping[str, torch.Tensor]
    """The generator's state, float32."""
    sha256: str
    """Of the file, in hexadecimal digits."""


def load_initial_weights(plan: Plan) -> InitialWeights | None:
    """Read the weights that ``plan`` starts from; None where it starts from scratch.

    Raises:
        ColorpipeError: the recipe has no pretrained weights, the file is missing or damaged, or its
            weights are another recipe's or of a network with other hyper-parameters.
    """
    init, recipe = plan.init, plan.recipe
    if init == SCRATCH:
        return None
    if init == PRETRAINED and recipe.name != RECIPE:
        raise ColorpipeError(
            f"There are no pretrained weights of the recipe {recipe.name}, only of {RECIPE}; set"
            f" train.init to a file of weights of the recipe {recipe.name}, or to '{SCRATCH}'."
        )
    path = pretrained_weights() if init == PRETRAINED else Path(init)
    if not path.is_file():
        raise ColorpipeError(
            f"train.init is '{init}', but there is no such file; give a file of weights,"
            f" '{PRETRAINED}' or '{SCRATCH}'."
        )
    there = load_generator(path)
    if there.recipe.name != recipe.name:
        raise ColorpipeError(
            f"train.init is '{init}', but these are weights of the recipe {there.recipe.name}, and"
            f" train.recipe is '{recipe.name}'; let them agree, or set train.init to '{SCRATCH}'."
        )
    if _shapes(there.recipe) != _shapes(recipe):
        raise ColorpipeError(
            f"train.init is '{init}', but the network there is another one"
            f" ({_difference(there.recipe, recipe)}); let the hyper-parameters agree, or set"
            f" train.init to '{SCRATCH}'."
        )
    return InitialWeights(path, there.module.state_dict(), digest_of(path))


def _shapes(recipe: Recipe) -> dict[str, torch.Size]:
    """Return names and shapes of the generator's weights."""
    # Built without memory: only shapes are asked for.
    with torch.device("meta"):
        state = recipe.generator().state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def _difference(there: Recipe, here: Recipe) -> str:
    """Name the hyper-parameters by which the networks differ: "width 32 there, 8 here"."""
    theirs, ours = there.options(), here.options()
    # Most hyper-parameters that differ are of the training and change no shape.
    found = [
        f"{key} {theirs[key]} there, {ours[key]} here"
        for key in theirs
        if theirs[key] != ours[key]
        and (_counts(there, key, ours[key]) or _counts(here, key, theirs[key]))
    ]
    return "; ".join(found) or "by several hyper-parameters together"


def _counts(recipe: Recipe, key: str, value: Any) -> bool:
    """Return whether another ``value`` of a hyper-parameter makes another network."""
    try:
        return _shapes(get_recipe(recipe.name, {**recipe.options(), key: value})) != _shapes(recipe)
    except ColorpipeError:  # it does not go with the others
        return False
