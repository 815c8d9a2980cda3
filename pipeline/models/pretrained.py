"""The pretrained weights, which come with colorpipe: where they are, and what they are called.

Importing this module costs nothing.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ColorpipeError

PRETRAINED = "pretrained"
"""The word for these weights, wherever weights are asked for."""

RECIPE = "colorpipe"
"""The recipe that they were trained with."""

_FILE = "colorpipe.safetensors"
_CARDS = ("README.md", "colorpipe.md")
"""The model card in a checkout, and beside this module."""


def pretrained_weights() -> Path:
    """Return the file: beside this module when installed, in ``models`` in a checkout.

    Raises:
        ColorpipeError: it is at neither place.
    """
    here = Path(__file__).parent
    checkout = here.parents[1] / "models"
    for folder in (here, checkout):
        if (folder / _FILE).is_file():
            return folder / _FILE
    raise ColorpipeError(
        f"The pretrained weights are missing ({checkout / _FILE}); install colorpipe again, or"
        f" restore them with `git restore models/{_FILE}`."
    )


def model_card() -> str:
    """Return the model card of these weights, in Markdown; "" where it is missing."""
    folder = pretrained_weights().parent
    for name in reversed(_CARDS):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    return ""
