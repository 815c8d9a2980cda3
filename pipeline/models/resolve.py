"""Which file is meant where a model is asked for: trained here, pretrained, or any other."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE, pretrained_weights
from pipeline.params import RuntimeName
from pipeline.recipes import RECIPES

MODELS = Path("models")
TRAINED = "generator.safetensors"
"""What `colorpipe train` writes, in the folder of models."""


def find_model(model: Path | None, runtime: RuntimeName = "auto", folder: Path = MODELS) -> Path:
    """Return the file that ``model`` means.

    Args:
        model: one of

            - None: what was trained last in this project, ``generator.safetensors`` in ``folder``;
              where there is none, the pretrained weights;
            - ``pretrained``: the weights that come with colorpipe;
            - a recipe's name: the one file in ``folder`` that was trained with it. The recipe
              ``colorpipe`` means the pretrained weights where nothing was trained with it;
            - a file.
        runtime: what computes it; ``onnx`` takes the export of the weights (:func:`export_of`).
        folder: where this project's models are.

    Raises:
        ColorpipeError: ``model`` is a recipe's name, and ``folder`` has no file of it, or several;
            it is a folder; or the pretrained weights are meant, and missing.
    """
    weights = _weights(model, runtime, folder)
    if weights.is_dir():
        raise ColorpipeError(
            f"{weights} is a folder, but a model is a file; name a file of weights with --model."
        )
    return export_of(weights, folder) if runtime == "onnx" else weights


def export_of(weights: Path, folder: Path = MODELS) -> Path:
    """Return the place of the ONNX file of ``weights``: beside them.

    That of the pretrained weights is in ``folder``: the package may be read-only.
    """
    if is_pretrained(weights):
        return (folder / weights.name).with_suffix(".onnx")
    return weights.with_suffix(".onnx")


def weights_of(export: Path, folder: Path = MODELS) -> Path | None:
    """Return the weights of which ``export`` is the ONNX file, by its place; None without any.

    It is the inverse of :func:`export_of`.
    """
    beside = export.with_suffix(".safetensors")
    if beside.is_file():
        return beside
    try:
        pretrained = pretrained_weights()
    except ColorpipeError:
        return None
    # One of the two may be given by its absolute path.
    return pretrained if export_of(pretrained, folder).absolute() == export.absolute() else None


def require_export_name(out: Path, suffix: str) -> None:
    """Refuse a name for an export by which it would not be recognized as one.

    Raises:
        ColorpipeError: ``out`` is a folder, or does not end in ``suffix``.
    """
    if out.is_dir():
        raise ColorpipeError(
            f"{out} is a folder; name the file to write, such as {out / f'exported{suffix}'}."
        )
    if out.suffix != suffix:
        raise ColorpipeError(f"This export's file ends in {suffix}, which {out} does not.")


def digest_of(weights: Path) -> str:
    """Return the SHA-256 of a file of weights, in hexadecimal digits."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def require_same(weights: Path, digest: str) -> None:
    """Refuse a file of weights that has, on this machine, another content than on the command's.

    Raises:
        ColorpipeError: its SHA-256 is not ``digest``, or it cannot be read.
    """
    try:
        is_same = digest_of(weights) == digest
    except OSError as error:
        raise ColorpipeError(
            f"The machine {platform.node()} could not read the weights {weights}: {error.strerror}."
        ) from error
    if not is_same:
        raise ColorpipeError(
            f"The machine {platform.node()} has other weights at {weights} than this one has; copy"
            " the file there, or name one with --model that all machines see."
        )


def describe_model(weights: Path, recipe: str) -> str:
    """Say which weights these are: "models/generator.safetensors (recipe colorpipe)"."""
    kind = "the pretrained weights " if is_pretrained(weights) else ""
    return f"{kind}{weights} (recipe {recipe})"


def _weights(model: Path | None, runtime: RuntimeName, folder: Path) -> Path:
    if model is None:
        return _trained(runtime, folder) or pretrained_weights()
    if model.is_file() or model.suffix:
        return model
    if str(model) == PRETRAINED:
        return pretrained_weights()
    return _of_recipe(str(model), folder) if str(model) in RECIPES else model


def _trained(runtime: RuntimeName, folder: Path) -> Path | None:
    """What was trained in this project; where photos are only colorized, its export is enough."""
    weights = folder / TRAINED
    if weights.exists():
        return weights
    export = export_of(weights, folder)
    return export if runtime != "torch" and export.exists() else None


def _of_recipe(name: str, folder: Path) -> Path:
    from pipeline.models.weights import read_header  # noqa: PLC0415 - imports torch

    found = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            recipe = read_header(path)["recipe"]
        except ColorpipeError:
            # Not written by this project, so not what is looked for.
            continue
        if recipe == name and not is_pretrained(path):
            found.append(path)
    if len(found) > 1:
        raise ColorpipeError(
            f"{' and '.join(map(str, found))} were all trained with the recipe '{name}'; name one"
            " of them with --model."
        )
    if found:
        return found[0]
    if name == RECIPE:
        return pretrained_weights()
    raise ColorpipeError(
        f"No model in {folder} was trained with the recipe '{name}'; train one with"
        f" `colorpipe train --recipe {name}`, or name a file with --model."
    )


def is_pretrained(path: Path) -> bool:
    """Return whether ``path`` is the file of the pretrained weights, by whichever name."""
    try:
        return path.samefile(pretrained_weights())
    except (OSError, ColorpipeError):
        return False
