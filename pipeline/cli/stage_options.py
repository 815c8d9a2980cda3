"""Subcommands whose options are the keys of a section of ``params.yaml``."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pipeline.cli.exits import errors_as_sentences, report_failures
from pipeline.cli.key_values import key_values
from pipeline.errors import Failure, needs_extra
from pipeline.location import Url
from pipeline.params import PARAMS_FILE, Section, override, read_params

Stage = Callable[..., Sequence[Failure] | None]
Implied = Callable[[Any, Collection[str]], Mapping[str, Any]]
"""Takes the section of params.yaml and the keys that options were given for; returns the values of
others that go along with these."""

_PANEL = "Parameters (instead of the values in params.yaml)"
_PARAMS_FILE = Annotated[
    Path | None,
    typer.Option(
        "--params",
        metavar="FILE",
        help="Read this file instead of params.yaml; missing keys have their defaults.",
        rich_help_panel=_PANEL,
    ),
]


_WIDEST = 30
"""Characters that a list of choices may have in the column before the descriptions."""


def stage_command(
    app: typer.Typer,
    section: type[Section],
    *,
    extra: str | None = None,
    implied: Implied | None = None,
    ignore_others: bool = False,
) -> Callable[[Stage], Stage]:
    """Make a function a subcommand that has an option for each key of ``section``.

    The function is named like its section. Its first argument is ``params``, the section: the
    values of ``params.yaml``, with those given on the command line in their place. Its other
    arguments are Typer's.

    Args:
        app: gets the subcommand.
        section: the keys. Their types, ranges and descriptions become the options' help.
        extra: the extra of colorpipe that the function's imports need.
        implied: says which keys are set along with those given, unless they are given too.
        ignore_others: whether only the section itself is read from a ``params.yaml`` that was not
            asked for by name. Photos are anywhere, also beside another project's ``params.yaml``.
    """

    def register(function: Stage) -> Stage:
        name = function.__name__

        @functools.wraps(function)
        def run(context: typer.Context, params_file: Path | None, **arguments: Any) -> None:
            given = {key: arguments.pop(key) for key in section.model_fields}
            given = {key: value for key, value in given.items() if value not in (None, [])}
            needed = needs_extra(extra, name) if extra else contextlib.nullcontext()
            with errors_as_sentences(debug=bool(context.obj)), needed:
                named = params_file is not None
                file = read_params(
                    params_file or PARAMS_FILE,
                    required=named,
                    only=name if ignore_others and not named else "",
                )
                of_file = getattr(file, name)
                values = {key: _value(key, section, value) for key, value in given.items()}
                if implied:
                    values = {**implied(of_file, values.keys()), **values}
                report_failures(function(override(of_file, values), **arguments))

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            inspect.Parameter("params_file", keyword, default=None, annotation=_PARAMS_FILE),
            *(parameter.replace(kind=keyword) for parameter in own),
            *(
                inspect.Parameter(key, keyword, default=None, annotation=_option(key, field))
                for key, field in section.model_fields.items()
            ),
        ]
        # Typer reads both.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name)(run)
        return function

    return register


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _value(key: str, section: type[Section], given: Any) -> Any:
    """Turn what the command line gave for a key into what the file would hold.

    Numbers and words stay strings: pydantic checks and converts them, wherever they come from.
    """
    kind = section.model_fields[key].annotation
    if given == "null" and type(None) in get_args(kind):
        return None
    return key_values(_flag(key), given) if get_origin(kind) is dict else given


def _option(key: str, field: FieldInfo) -> Any:
    """Return the annotation of the option for a key; its value is None unless it is given."""
    kinds: list[Any] = [field.annotation, *get_args(field.annotation)]
    choices = [word for each in kinds if get_origin(each) is Literal for word in get_args(each)]
    declaration = _flag(key)
    kind: Any = str
    metavar: str | None = "TEXT"
    description = field.description or ""
    if field.annotation is bool:
        declaration, kind, metavar = f"{declaration}/--no-{declaration[2:]}", bool, None
    elif get_origin(field.annotation) is tuple:
        kind = list[str]
    elif get_origin(field.annotation) is dict:
        kind, metavar = list[str], "KEY=VALUE"
    elif choices:
        metavar = f"[{'|'.join(choices)}]"
        # A wide column of them would leave no room for the descriptions.
        if len(metavar) > _WIDEST:
            metavar = "NAME"
            if not all(choice in description for choice in choices):
                description += f" One of: {', '.join(choices)}."
    elif int in kinds or float in kinds:
        metavar = "INTEGER" if int in kinds else "FLOAT"
    elif Url in kinds:
        metavar = "PATH|URL"
    elif Path in kinds:
        kind, metavar = Path, "PATH"
    option = typer.Option(
        declaration,
        help=description,
        metavar=metavar,
        autocompletion=completion(choices) if choices else None,
        show_default=False,
        rich_help_panel=_PANEL,
    )
    return Annotated[kind | None, option]


def completion(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what Typer asks for the choices that begin with what was typed."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete
