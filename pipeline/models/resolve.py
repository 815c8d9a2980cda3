"""Which weights are meant: a file, what was trained here, or what ships with colorpipe."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, RECIPE, shipped_weights

MODELS = Path("models")
TRAINED = "generator.safetensors"
"""What `colorpipe train` writes, in the folder of models."""

Runtime = Literal["auto", "torch", "onnx"]


def find_model(model: Path | None, runtime: Runtime = "auto", folder: Path = MODELS) -> Path:
    """Return the file that ``model`` means.

    Args:
        model: one of

            - None: what was trained last in this project, ``generator.safetensors`` in ``folder``;
              where there is none, the weights that ship;
            - ``pretrained``: the weights that ship;
            - a recipe's name: the one file in ``folder`` that it trained. The weights that ship
              come after it: they are what ``colorpipe`` means where it trained none;
            - a file.
        runtime: what computes it; ``onnx`` takes the export of the weights (:func:`exported`).
        folder: where this project's models lie.

    Raises:
        ColorpipeError: ``model`` is a recipe's name, and ``folder`` has no file of it, or several;
            or the weights that ship are meant, and missing.
    """
    weights = _weights(model, runtime, folder)
    return exported(weights, folder) if runtime == "onnx" else weights


def exported(weights: Path, folder: Path = MODELS) -> Path:
    """Return where the ONNX file of ``weights`` belongs: beside them.

    That of the weights that ship belongs into ``folder``: the package may be read-only.
    """
    if _is_shipped(weights):
        return (folder / weights.name).with_suffix(".onnx")
    return weights.with_suffix(".onnx")


def origin_of(network: Path, folder: Path = MODELS) -> Path | None:
    """Return the weights of which ``network`` would be the export, or None where they are not.

    It is the way back from :func:`exported`.
    """
    beside = network.with_suffix(".safetensors")
    if beside.is_file():
        return beside
    try:
        shipped = shipped_weights()
    except ColorpipeError:
        return None
    # Neither has to be there in the same writing: a folder may be given in full.
    return shipped if exported(shipped, folder).absolute() == network.absolute() else None


def require_export_name(out: Path, suffix: str) -> None:
    """Refuse a name for an export by which it would not be known again, or is something else's.

    Raises:
        ColorpipeError: ``out`` is a folder, or does not end in ``suffix``.
    """
    if out.is_dir():
        raise ColorpipeError(
            f"{out} is a folder; name the file to write, such as {out / f'exported{suffix}'}."
        )
    if out.suffix != suffix:
        raise ColorpipeError(f"This export's file ends in {suffix}, which {out} does not.")


def described(weights: Path, recipe: str) -> str:
    """Say which weights these are: "models/generator.safetensors (recipe colorpipe)"."""
    origin = "the weights that ship with colorpipe, " if _is_shipped(weights) else ""
    return f"{origin}{weights} (recipe {recipe})"


def _weights(model: Path | None, runtime: Runtime, folder: Path) -> Path:
    if model is None:
        return _trained(runtime, folder) or shipped_weights()
    if model.is_file() or model.suffix:
        return model
    if str(model) == PRETRAINED:
        return shipped_weights()
    # torch is imported for it, which ONNX Runtime does without: only a name is worth that.
    from pipeline.recipes import RECIPES  # noqa: PLC0415

    return _of_recipe(str(model), folder) if str(model) in RECIPES else model


def _trained(runtime: Runtime, folder: Path) -> Path | None:
    """What was trained in this project; where photos are only colorized, its export will do."""
    weights = folder / TRAINED
    if weights.exists():
        return weights
    network = exported(weights, folder)
    return network if runtime != "torch" and network.exists() else None


def _of_recipe(name: str, folder: Path) -> Path:
    from pipeline.models.weights import read_header  # noqa: PLC0415 - imports torch

    found = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            recipe = read_header(path)["recipe"]
        except ColorpipeError:
            # Somebody else's file: it is not what is looked for.
            continue
        if recipe == name and not _is_shipped(path):
            found.append(path)
    if len(found) > 1:
        raise ColorpipeError(
            f"{' and '.join(map(str, found))} were all trained with the recipe '{name}'; name one"
            " of them with --model."
        )
    if found:
        return found[0]
    if name == RECIPE:
        return shipped_weights()
    raise ColorpipeError(
        f"No model in {folder} was trained with the recipe '{name}'; train one with"
        f" `colorpipe train --recipe {name}`, or name a file with --model."
    )


def _is_shipped(path: Path) -> bool:
    try:
        return path.samefile(shipped_weights())
    except (OSError, ColorpipeError):
        return False
