"""The systems that can be trained, by name. Importing this module does not import torch.

Each recipe has a module of its name, dashes included, so that ``dvc.yaml`` can name it with
``${train.recipe}``: editing one recipe does not retrain the others. For the same reason no recipe
imports another, and what several share stands in the folder ``shared``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.errors import ColorpipeError
from pipeline.params import RecipeName, validate

if TYPE_CHECKING:
    from pipeline.recipes.shared.base import Recipe

RECIPES: Mapping[RecipeName, str] = {
    "colorpipe": "Colorpipe",
    "landscape-rgb": "LandscapeRgb",
    "dilated-unet": "DilatedUNetRecipe",
    "heartbeat": "Heartbeat",
    "pix2pix": "Pix2Pix",
    "cyclegan": "CycleGAN",
    "unet": "UNet",
    "cgan": "Cgan",
    "cgan-pretrained": "PretrainedCgan",
    "dcgan": "Dcgan",
}
"""Every recipe with its class, which stands in the module of the recipe's name."""


def recipe_class(name: str) -> type[Recipe]:
    """Return the class of the recipe called ``name``; its module imports torch.

    Raises:
        ColorpipeError: there is no such recipe.
    """
    for known, class_name in RECIPES.items():
        if name == known:
            found: type[Recipe] = getattr(import_module(f"{__name__}.{name}"), class_name)
            return found
    guess = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean '{guess[0]}'?" if guess else ""
    raise ColorpipeError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.{hint}")


def get_recipe(name: str, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe called ``name``, with ``settings`` in place of its own.

    Raises:
        ColorpipeError: there is no such recipe, or it has no such setting or value.
    """
    kind = recipe_class(name)
    recipe = kind(validate(kind.settings_type, settings or {}, f"The settings of recipe {name}"))
    if recipe.settings.size % recipe.multiple:
        near = max(round(recipe.settings.size / recipe.multiple), 1) * recipe.multiple
        fewer = "; or give it fewer halvings" if hasattr(recipe.settings, "halvings") else ""
        raise ColorpipeError(
            f"The recipe {name} trains on pictures whose side is a multiple of {recipe.multiple}"
            f" px, which {recipe.settings.size} is not; set train.size to {near}{fewer}."
        )
    return recipe
