"""The split on disk: a folder of gray and one of color photos for each part, names in pairs.

``train_x/sea-0123456789abcdef.png`` is the gray copy of ``train_y/sea-0123456789abcdef.png``, which
is a photo of the category ``sea``. In the same way there are ``val_x`` and ``val_y`` for validation
and ``test_x`` and ``test_y`` for the test.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.files.listing import files_in


def category_of(name: str) -> str:
    """Return the category in a name of the split: ``sea`` of ``sea-0123456789abcdef.png``."""
    return name.rpartition("-")[0]


def list_pairs(split: Path, part: str) -> list[str]:
    """Return the sorted file names that ``split/<part>_x`` and ``split/<part>_y`` both hold.

    Raises:
        ColorpipeError: ``split`` is a file, a folder in it is missing or empty, or a photo stands
            on one side only.
    """
    if split.is_file():
        raise ColorpipeError(
            f"{split} is a file; name the folder that `colorpipe split` wrote with --split."
        )
    x, y = (_names(split / f"{part}_{side}") for side in "xy")
    if unpaired := sorted(set(x) ^ set(y)):
        there = "x" if unpaired[0] in x else "y"
        raise ColorpipeError(
            f"{split / f'{part}_{there}' / unpaired[0]} has no counterpart of the same name on the"
            f" other side ({len(unpaired)} such files); run `colorpipe split` again."
        )
    if not y:
        raise ColorpipeError(
            f"{split / f'{part}_y'} holds no photos; run the stages before, or look into"
            " reports/clean.csv for why none was kept."
        )
    return y


def _names(folder: Path) -> list[str]:
    try:
        return files_in(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ColorpipeError(
            f"The folder {folder} is missing; run `colorpipe split` first."
        ) from error
