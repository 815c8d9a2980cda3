"""The weights that training starts from, when it does not start from nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE, shipped_weights
from pipeline.models.weights import load_generator
from pipeline.params import TrainParams
from pipeline.recipes import SCRATCH, get_recipe, init_of
from pipeline.recipes.base import Recipe


@dataclass(frozen=True)
class StartingWeights:
    """A trained generator's weights."""

    path: Path
    tensors: Mapping[str, torch.Tensor]
    """The generator's state, float32."""
    fingerprint: str
    """SHA-256 of the file."""


def starting_weights(params: TrainParams, recipe: Recipe) -> StartingWeights | None:
    """Read the weights that ``params.init`` asks for; None where training starts from nothing.

    Raises:
        ColorpipeError: no weights ship for the recipe, the file is missing or damaged, or its
            weights are another recipe's or of a network with other settings.
    """
    init = init_of(params)
    if init == SCRATCH:
        return None
    if init == PRETRAINED and recipe.name != RECIPE:
        raise ColorpipeError(
            f"train.init is '{PRETRAINED}', but weights ship for the recipe {RECIPE} alone; set it"
            f" to '{SCRATCH}' or to a file of weights of the recipe {recipe.name}."
        )
    path = shipped_weights() if init == PRETRAINED else Path(init)
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
            f" ({_difference(there.recipe, recipe)}); let the settings agree, or set train.init to"
            f" '{SCRATCH}'."
        )
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    return StartingWeights(path, there.module.state_dict(), fingerprint)


def _shapes(recipe: Recipe) -> dict[str, torch.Size]:
    """Return names and shapes of the generator's weights."""
    # Built without memory: only shapes are asked for.
    with torch.device("meta"):
        state = recipe.generator().state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def _difference(there: Recipe, here: Recipe) -> str:
    """Name the settings by which the generators differ: "width 32 there, 8 here"."""
    theirs, ours = there.options(), here.options()
    own = _shapes(there)
    found = []
    for key in theirs:
        # One at a time: most settings that differ are of the training and change no shape.
        if theirs[key] != ours[key]:
            try:
                changed = _shapes(get_recipe(there.name, {**theirs, key: ours[key]}))
            except ColorpipeError:  # it does not go with the others
                continue
            if changed != own:
                found.append(f"{key} {theirs[key]} there, {ours[key]} here")
    return "; ".join(found) or "by several settings together"
