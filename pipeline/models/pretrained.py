"""The weights that ship with colorpipe: where they are, and what they are called.

Importing this module costs nothing.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ColorpipeError

PRETRAINED = "pretrained"
"""The word for these weights, wherever weights are asked for."""

RECIPE = "colorpipe"
"""The recipe that made them."""

_FILE = "models/colorpipe.safetensors"


def shipped_weights() -> Path:
    """Return the file: inside the installed package, or beside the package in a checkout.

    Raises:
        ColorpipeError: it is at neither place.
    """
    package = Path(__file__).parent
    for folder in (package, package.parent):
        if (folder / _FILE).is_file():
            return folder / _FILE
    raise ColorpipeError(
        f"The weights that ship with colorpipe are missing ({package.parent / _FILE}); install it"
        f" again, or bring them back with `git restore {_FILE}`."
    )
