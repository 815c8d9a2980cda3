"""What a run of training does: every hyper-parameter resolved, readable before the run and after.

A value comes from ``params.yaml`` or the command line where it is given there, else from the
preset, else from the recipe. The preset and what training starts from suit each other: where one of
the two is left open it follows from the other, and where both are, from whether pretrained weights
of the recipe come with colorpipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import yaml

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE
from pipeline.params import PresetName, TrainParams
from pipeline.recipes import RECIPES, get_recipe, recipe_class
from pipeline.recipes.shared.base import Recipe

SCRATCH = "scratch"
"""The word for fresh weights, where ``train.init`` asks what training starts from."""

_OWN_KEYS = ("epochs", "batch_size", "size", "learning_rate")
"""The hyper-parameters that have a key of their own in ``params.yaml``; ``options`` has others."""


@dataclass(frozen=True)
class Plan:
    """A run of training, resolved."""

    params: TrainParams
    """What was asked for."""
    preset: PresetName
    init: str
    """What training starts from: ``scratch``, ``pretrained`` or a file of weights."""
    recipe: Recipe
    """With every hyper-parameter in its settings."""
    origins: Mapping[str, str]
    """Of each hyper-parameter, where its value comes from."""


def plan_of(params: TrainParams) -> Plan:
    """Resolve what ``params`` leave open.

    Raises:
        ColorpipeError: the recipe has no such hyper-parameter or value, or one is given twice.
    """
    given = {key: getattr(params, key) for key in _OWN_KEYS if getattr(params, key) is not None}
    if twice := sorted(given.keys() & params.options.keys()):
        raise ColorpipeError(
            f"'{twice[0]}' is given both as a parameter of its own and in options; leave out one."
        )
    preset, init = _start(params)
    of_preset = recipe_class(params.recipe).fine_tuning if preset == "fine-tune" else {}
    given |= params.options
    recipe = get_recipe(params.recipe, {**of_preset, **given})
    origins = dict.fromkeys(recipe.options(), f"recipe {recipe.name}")
    origins |= dict.fromkeys(of_preset, f"preset {preset}")
    origins |= dict.fromkeys(given, "given")
    return Plan(params, preset, init, recipe, origins)


def _start(params: TrainParams) -> tuple[PresetName, str]:
    preset, init = params.preset, params.init
    if init is None:
        fine_tunes = preset == "fine-tune" if preset else params.recipe == RECIPE
        init = PRETRAINED if fine_tunes else SCRATCH
    return preset or ("from-scratch" if init == SCRATCH else "fine-tune"), init


def recipe_of(params: TrainParams) -> Recipe:
    """Return the recipe that ``params`` ask for, with every hyper-parameter in its settings.

    Raises:
        ColorpipeError: as :func:`plan_of`.
    """
    return plan_of(params).recipe


def as_params_file(
    plan: Plan, resolved: Mapping[str, Any] | None = None, notes: Sequence[str] = ()
) -> str:
    """Write a plan as a file of parameters, which ``colorpipe train --params`` repeats.

    Args:
        plan: the plan.
        resolved: other keys of ``train`` whose value is known by now, such as the device.
        notes: lines of comment to begin with.
    """
    settings = plan.recipe.options()
    values = plan.params.model_dump(mode="json")
    values |= {"preset": plan.preset, "init": plan.init, **(resolved or {})}
    values |= {key: settings[key] for key in _OWN_KEYS}
    values["options"] = {key: value for key, value in settings.items() if key not in _OWN_KEYS}
    lines = [*(f"# {note}" for note in notes), "train:"]
    for key, value in values.items():
        if key == "options":
            lines.append("  options:")
            lines += [_line("    ", name, value[name], plan.origins[name]) for name in value]
        else:
            lines.append(_line("  ", key, value, plan.origins.get(key, "")))
    return "\n".join(lines) + "\n"


def _line(indent: str, key: str, value: Any, origin: str) -> str:
    # On one line; PyYAML adds a line of dots to a document that is a scalar.
    flow = yaml.safe_dump(value, default_flow_style=True, width=float("inf")).splitlines()[0]
    written = f"{indent}{key}: {flow}"
    return f"{written:<31} # {origin}" if origin else written


def describe_recipes() -> list[dict[str, str]]:
    """Return a row a recipe, of what it is and how it is trained where nothing else is asked for.

    Hyper-parameters are those of the preset ``from-scratch``; ``start`` names what training starts
    from and, where that is weights, what the preset ``fine-tune`` changes.
    """
    rows = []
    for name in RECIPES:
        recipe, plan = get_recipe(name), plan_of(TrainParams(recipe=name))
        # Built without memory: only shapes are asked for.
        with torch.device("meta"):
            parameters = sum(weight.numel() for weight in recipe.generator().parameters())
        start = plan.init
        if changes := recipe.fine_tuning if plan.preset == "fine-tune" else {}:
            values = ", ".join(f"{key} {value}" for key, value in changes.items())
            start += f", preset {plan.preset}: {values}"
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
                "start": start,
            }
        )
    return rows
