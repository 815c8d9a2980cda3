"""The systems that can be trained, by name. Importing this module does not import torch.

Each recipe of :data:`pipeline.params.RecipeName` has a module of its name, dashes included, so that
``dvc.yaml`` can depend on ``${train.recipe}.py``: editing one recipe does not retrain the others.
For the same reason no recipe imports another; what several share is in the folder ``shared``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from pipeline.errors import ColorpipeError
from pipeline.params import RecipeName, validate

if TYPE_CHECKING:
    from pipeline.recipes.shared.base import Recipe

RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)


def recipe_class(name: str) -> type[Recipe]:
    """Return the class of the recipe called ``name``; its module imports torch.

    Raises:
        ColorpipeError: there is no such recipe.
    """
    if name not in RECIPES:
        guess = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean '{guess[0]}'?" if guess else ""
        raise ColorpipeError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.{hint}")
    classes = vars(import_module(f"{__name__}.{name}")).values()
    found: type[Recipe] = next(each for each in classes if getattr(each, "name", None) == name)
    return found


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
