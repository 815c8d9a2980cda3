"""Which file of weights is meant: a file by its path, or what a recipe's training left here."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ColorpipeError

MODELS = Path("models")


def find_model(model: Path, folder: Path = MODELS) -> Path:
    """Return the file that ``model`` means.

    Args:
        model: a file; or the name of a recipe, for the one file in ``folder`` that it trained.
        folder: where trained models lie.

    Raises:
        ColorpipeError: ``model`` is a recipe's name, and ``folder`` has no file of it, or several.
    """
    if model.exists() or model.suffix:
        return model
    # Both import torch, which ONNX Runtime does without: only a recipe's name is worth that.
    from pipeline.recipes import RECIPES  # noqa: PLC0415
    from pipeline.weights import read_header  # noqa: PLC0415

    name = str(model)
    if name not in RECIPES:
        return model
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            recipe = read_header(path)["recipe"]
        except ColorpipeError:
            # Somebody else's file: it is not what is looked for.
            continue
        if recipe == name:
            found.append(path)
    if not found:
        raise ColorpipeError(
            f"No model in {folder} was trained with the recipe '{name}'; train one with"
            f" `colorpipe train --recipe {name}`, or name a file with --model."
        )
    if len(found) > 1:
        raise ColorpipeError(
            f"{' and '.join(map(str, found))} were all trained with the recipe '{name}'; name one"
            " of them with --model."
        )
    return found[0]
