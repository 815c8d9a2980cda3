"""Reading and writing a file of weights: safetensors, with what is needed to use it in its header.

Nothing is unpickled: untrusted input can be refused, but it cannot run code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

import pipeline
from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file, reason_of
from pipeline.models.device import place
from pipeline.recipes import get_recipe
from pipeline.recipes.shared.base import Recipe

FORMAT = 1
KEY = "colorpipe"
"""The one key of safetensors' metadata; with several, the library writes them in any order."""


@dataclass(frozen=True)
class Generator:
    """A trained generator, ready to predict."""

    module: nn.Module
    """In evaluation mode, so that batch norm does not depend on the batch."""
    recipe: Recipe
    size: int
    """Side in pixels of the picture that a photo's colors are predicted at."""
    header: Mapping[str, Any]


def save_generator(path: Path, module: nn.Module, recipe: Recipe, *, half: bool = False) -> None:
    """Write ``module``'s weights with the recipe that built it, whole or not at all.

    Args:
        path: the file.
        module: the generator.
        recipe: what built it.
        half: whether to store trained weights in float16, at half the bytes; they are float32 again
            when they are loaded. Batch norm's running statistics stay float32: a variance may be
            outside float16's range.

    Raises:
        ColorpipeError: a weight is too large for float16.
    """
    header = {
        "format": FORMAT,
        "recipe": recipe.name,
        "color_space": recipe.color_space,
        "size": recipe.working_size,
        "settings": recipe.options(),
        "colorpipe": pipeline.__version__,
        "torch": str(torch.__version__).split("+", maxsplit=1)[0],
    }
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()
    }
    if half:
        for name, _ in module.named_parameters():
            tensors[name] = tensors[name].half()
            if not tensors[name].isfinite().all():
                raise ColorpipeError(
                    f"The weights {name} do not fit half precision, whose largest number is 65504;"
                    " keep the file as it is."
                )
    with new_file(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, {KEY: json.dumps(header, sort_keys=True)})


def load_generator(path: Path, device: torch.device | str = "cpu") -> Generator:
    """Read what :func:`save_generator` wrote, as float32.

    Raises:
        ColorpipeError: the file is missing, damaged, or was not written by this project.
    """
    header = read_header(path)
    recipe = get_recipe(str(header["recipe"]), header["settings"])
    module = recipe.generator()
    try:
        module.load_state_dict(safetensors.torch.load_file(path))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ColorpipeError(
            f"{path} does not hold the weights of a '{recipe.name}' generator of this version;"
            " train it again, or use another file."
        ) from error
    place(module, torch.device(device)).eval()
    return Generator(module, recipe, int(header["size"]), header)


def halve(model: Path, out: Path) -> None:
    """Write the generator in ``model`` to ``out`` in half precision, whole or not at all.

    Raises:
        ColorpipeError: ``model`` is missing or was not written by this project, a weight is too
            large for float16, or ``out`` is ``model`` itself or cannot be written.
    """
    generator = load_generator(model)
    if out.exists() and out.samefile(model):
        raise ColorpipeError(
            f"{out} is the model itself, which would lose its full precision; name another file"
            " with --out."
        )
    try:
        save_generator(out, generator.module, generator.recipe, half=True)
    except (OSError, safetensors.SafetensorError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ColorpipeError(f"{out} could not be written: {reason}.") from error


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a generator's file without reading its weights.

    Raises:
        ColorpipeError: the file is missing, damaged, or was not written by this project.
    """
    unreadable = (
        f"{path} is not a file of colorpipe's weights (safetensors with its header), or it is"
        " damaged."
    )
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {})[KEY])
    except FileNotFoundError as error:
        raise ColorpipeError(
            f"There is no model at {path}; train one with `colorpipe train`, or name another file"
            " with --model."
        ) from error
    except (KeyError, ValueError, OSError, struct.error, safetensors.SafetensorError) as error:
        raise ColorpipeError(unreadable) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ColorpipeError(
            f"{path} was written by another version of colorpipe; train the model again."
        )
    fields = {"recipe": str, "settings": dict, "size": int}
    if not all(isinstance(header.get(key), kind) for key, kind in fields.items()):
        raise ColorpipeError(unreadable)
    return header
