"""The systems that can be trained, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE
from pipeline.params import TrainParams, validate
from pipeline.recipes.base import Recipe
from pipeline.recipes.cgan import Cgan, PretrainedCgan
from pipeline.recipes.colorpipe import Colorpipe
from pipeline.recipes.cyclegan import CycleGAN
from pipeline.recipes.dcgan import Dcgan
from pipeline.recipes.dilated_unet import DilatedUNetRecipe, Heartbeat
from pipeline.recipes.landscape_rgb import LandscapeRgb
from pipeline.recipes.pix2pix import Pix2Pix, UNet

SCRATCH = "scratch"
"""What ``train.init`` calls a start from nothing."""

_ALL: tuple[type[Recipe], ...] = (
    Colorpipe,
    LandscapeRgb,
    DilatedUNetRecipe,
    Heartbeat,
    Pix2Pix,
    CycleGAN,
    UNet,
    Cgan,
    PretrainedCgan,
    Dcgan,
)
RECIPES: Mapping[str, type[Recipe]] = {recipe.name: recipe for recipe in _ALL}


def get_recipe(name: str, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe called ``name``, with ``settings`` in place of its own.

    Raises:
        ColorpipeError: there is no such recipe, or it has no such setting or value.
    """
    if name not in RECIPES:
        guess = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean '{guess[0]}'?" if guess else ""
        raise ColorpipeError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.{hint}")
    kind = RECIPES[name]
    recipe = kind(validate(kind.settings_type, settings or {}, f"The settings of recipe {name}"))
    if recipe.settings.size % recipe.multiple:
        near = max(round(recipe.settings.size / recipe.multiple), 1) * recipe.multiple
        fewer = "; or give it fewer halvings" if hasattr(recipe.settings, "halvings") else ""
        raise ColorpipeError(
            f"The recipe {name} trains on pictures whose side is a multiple of {recipe.multiple}"
            f" px, which {recipe.settings.size} is not; set train.size to {near}{fewer}."
        )
    return recipe


def init_of(params: TrainParams) -> str:
    """Return what training starts from: ``scratch``, ``pretrained`` or a file of weights.

    Where ``params`` leave it open, a recipe starts from its weights that ship, if there are any.
    """
    return params.init or _own_init(params.recipe)


def _own_init(recipe: str) -> str:
    return PRETRAINED if recipe == RECIPE else SCRATCH


def recipe_of(params: TrainParams) -> Recipe:
    """Return the recipe that ``params`` ask for, with the settings they override.

    Where training starts from weights, the recipe's own settings for fine-tuning come before its
    others.

    Raises:
        ColorpipeError: there is no such recipe, it has no such setting or value, or a setting is
            given twice.
    """
    common = ("epochs", "batch_size", "size", "learning_rate")
    given = {key: getattr(params, key) for key in common if getattr(params, key) is not None}
    if twice := sorted(given.keys() & params.options.keys()):
        raise ColorpipeError(
            f"'{twice[0]}' is given both as a parameter of its own and in options; leave out one."
        )
    kind = RECIPES.get(params.recipe)
    own = kind.fine_tuning if kind and init_of(params) != SCRATCH else {}
    return get_recipe(params.recipe, {**own, **given, **params.options})


def describe_all() -> list[dict[str, str]]:
    """Return a row a recipe: name, origin, color space, losses, network, schedule and start."""
    rows = []
    for name in RECIPES:
        recipe = get_recipe(name)
        # Built without memory: only shapes are asked for.
        with torch.device("meta"):
            parameters = sum(weight.numel() for weight in recipe.generator().parameters())
        rows.append(
            {
                "recipe": name,
                "origin": recipe.origin,
                "colors": recipe.color_space,
                "losses": recipe.objective,
                "input": f"{recipe.settings.size} px",
                "generator": f"{parameters / 1e6:.1f} M",
                "epochs": str(recipe.settings.epochs),
                "batch": str(recipe.settings.batch_size),
                "rate": f"{recipe.settings.learning_rate:g}",
                "start": _described_start(recipe),
            }
        )
    return rows


def _described_start(recipe: Recipe) -> str:
    if _own_init(recipe.name) == SCRATCH:
        return SCRATCH
    changes = ", ".join(f"{key} {value}" for key, value in recipe.fine_tuning.items())
    return f"{PRETRAINED} ({changes})" if changes else PRETRAINED
