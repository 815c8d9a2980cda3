"""The engine that somebody asks for by name."""

from __future__ import annotations

import contextlib
from typing import Literal, get_args

from pipeline.engines.base import Engine
from pipeline.errors import ColorpipeError

EngineName = Literal["local", "ray"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def open_engine(
    name: str = "local", address: str | None = None
) -> contextlib.AbstractContextManager[Engine]:
    """Give the engine called ``name`` for the length of the block.

    Args:
        name: one of :data:`ENGINES`.
        address: where Ray is; see :func:`pipeline.engines.ray_engine.connected`.

    Raises:
        ColorpipeError: there is no such engine, or it cannot be reached.
    """
    if name not in ENGINES:
        raise ColorpipeError(f"--engine is '{name}', but must be one of {', '.join(ENGINES)}.")
    if name == "ray":
        from pipeline.engines.ray_engine import connected

        return connected(address)
    if address is not None:
        raise ColorpipeError("--address is where Ray is; add --engine ray, or leave it out.")
    from pipeline.engines.local_engine import LOCAL

    return contextlib.nullcontext(LOCAL)
