"""KEY=VALUE on the command line."""

import re

import pytest

from pipeline.errors import ColorpipeError
from pipeline.key_values import key_values


def test_keys_and_values_of_the_command_line_are_read_as_yaml_reads_them() -> None:
    given = ["ema=0.5", "halvings=3", "fast=true", "name=a=b"]
    assert key_values("options", given) == {"ema": 0.5, "halvings": 3, "fast": True, "name": "a=b"}


@pytest.mark.parametrize("item", ["ema", "=3", "ema=", "ema=[0.9", "ema=2020-13-45"])
def test_what_has_no_key_or_no_value_is_refused(item: str) -> None:
    with pytest.raises(ColorpipeError, match=f"--options takes KEY=VALUE.*'{re.escape(item)}'"):
        key_values("options", [item])
