"""What the command line gives as KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.errors import ColorpipeError


def key_values(key: str, given: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` strings that the option ``key`` was given, the values as YAML reads them.

    Raises:
        ColorpipeError: one is no such string, or its value is nothing or no YAML.
    """
    values = {}
    for item in given:
        name, _, value = item.partition("=")
        try:
            values[name] = yaml.safe_load(value) if name else None
        # YAML's own error, or that of a date that is none.
        except (yaml.YAMLError, ValueError):
            values[name] = None
        if values[name] is None:
            raise ColorpipeError(f"--{key} takes KEY=VALUE, for example ema=0.9, and not '{item}'.")
    return values
