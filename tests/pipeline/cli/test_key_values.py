"""KEY=VALUE on the command line."""

import re

import pytest

from pipeline.cli.key_values import key_values
from pipeline.errors import ColorpipeError


def test_values_are_read_as_yaml_reads_them() -> None:
    given = ["ema=0.5", "halvings=3", "fast=true", "name=a=b"]
    read = {"ema": 0.5, "halvings": 3, "fast": True, "name": "a=b"}
    assert key_values("--options", given) == read


@pytest.mark.parametrize("item", ["ema", "=3", "ema=", "ema=[0.9", "ema=2020-13-45"])
def test_an_item_without_key_or_value_is_refused(item: str) -> None:
    with pytest.raises(ColorpipeError, match=f"--options takes KEY=VALUE.*'{re.escape(item)}'"):
        key_values("--options", [item])
