"""What pydantic finds wrong with settings, as sentences for people."""

from __future__ import annotations

import difflib
from types import NoneType, UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_INNER = frozenset({"[key]", "float", "int", "bool", "str"})
"""What pydantic's path has besides keys, in a mapping: "[key]" and the types tried for a value."""
_OF_KIND_OR_RANGE = ("bool_", "int_", "float_", "finite_", "greater_", "less_")
"""What types of errors begin with in pydantic where a value is of another kind or out of range."""
_KINDS = {
    "dict_type": "keys with their values",
    "model_type": "keys with their values",
    "string_type": "text, which a number or a date is in quotes",
    "tuple_type": "a list, such as [a, b]",
}
"""Types of pydantic's errors whose own words are Python's, and what people call these kinds."""
_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
"""What pydantic calls the ends of a range, and what people do."""


def sentence_of(model: type[BaseModel], error: ErrorDetails, *, are_options: bool = False) -> str:
    """Say which key is unknown, or which values it may have.

    Args:
        model: what was to be built.
        error: the first of pydantic's errors.
        are_options: whether the keys were given on the command line; the sentence names the option.
    """
    parts = [str(part) for part in error["loc"] if part not in _INNER]
    key = ".".join(parts)
    if error["type"] in {"extra_forbidden", "invalid_key"}:
        parent, known = _parent(model, parts)
        guess = difflib.get_close_matches(parts[-1], known, n=1)
        hint = f" Did you mean '{guess[0]}'?" if guess else ""
        where = f"'{parent}' has" if parent else "there are"
        return f"'{key}' is not a known key; {where} {', '.join(known)}.{hint}"
    value = error["input"]
    shown = "an address with a password" if error["type"] == "user_info" else _shown(value)
    problem = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    problem = _KINDS.get(error["type"], problem)
    field = _field(model, parts)
    allowed = (field and _allowed(field, error["type"])) or problem
    name = f"'{key}'"
    if are_options:
        inner = f": '{'.'.join(parts[1:])}'" if parts[1:] else ""
        name = f"--{parts[0].replace('_', '-')}{inner}"
    return f"{name} is {shown}, but must be {allowed}."


def _shown(value: object) -> str:
    """Write a value nearly as it stands in a file of YAML or JSON."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)


def _field(model: type[BaseModel], parts: list[str]) -> FieldInfo | None:
    """The field at ``parts``; None inside of a mapping, whose keys are no fields."""
    field: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in parts:
        if inside is None:
            return None
        field = inside.model_fields[part]
        kind = field.annotation
        inside = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return field


def _allowed(field: FieldInfo, error: str) -> str:
    """Say which numbers, or which truth values, a field may have; "" of any other field.

    And "" of an error that says best itself what is allowed: of a multiple, of a check of ours.
    """
    if not error.startswith(_OF_KIND_OR_RANGE):
        return ""
    kinds = {field.annotation}
    if get_origin(field.annotation) in {Union, UnionType}:
        kinds = set(get_args(field.annotation))
    or_null = ", or null" if NoneType in kinds else ""
    kinds -= {NoneType}
    if kinds == {bool}:
        return f"true or false{or_null}"
    if kinds not in ({int}, {float}):
        return ""
    noun = "a whole number" if kinds == {int} else "a number"
    # 1e9 is a whole number, and no text that is read as one.
    noun += " in digits" if error == "int_parsing" else ""
    noun = "a finite number" if error == "finite_number" else noun
    bounds = {
        name: f"{getattr(each, name):g}" if kinds == {float} else str(getattr(each, name))
        for each in field.metadata
        for name in _BOUNDS
        if hasattr(each, name)
    }
    if bounds.keys() == {"ge", "le"}:
        return f"{noun} from {bounds['ge']} to {bounds['le']}{or_null}"
    limits = " and ".join(f"{_BOUNDS[name]} {bounds[name]}" for name in _BOUNDS if name in bounds)
    return f"{noun}{limits and f' that is {limits}'}{or_null}"


def _parent(model: type[BaseModel], parts: list[str]) -> tuple[str, list[str]]:
    """The section that the key at ``parts`` was given to, and the keys it has."""
    for part in parts[:-1]:
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return ".".join(parts[:-1]), list(model.model_fields)
