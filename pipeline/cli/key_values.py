"""Options that are given as KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.errors import ColorpipeError


def key_values(option: str, given: Sequence[str]) -> dict[str, Any]:
    """Read the ``KEY=VALUE`` strings that ``option`` was given, each value as YAML reads it.

    Raises:
        ColorpipeError: a string has another form, or its value is empty or no YAML.
    """
    values = {}
    for item in given:
        key, _, value = item.partition("=")
        try:
            values[key] = yaml.safe_load(value) if key else None
        # A date that does not exist is a ValueError.
        except (yaml.YAMLError, ValueError):
            values[key] = None
        if values[key] is None:
            raise ColorpipeError(f"{option} takes KEY=VALUE, such as ema=0.9, but got '{item}'.")
    return values
