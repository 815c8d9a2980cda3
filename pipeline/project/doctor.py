"""What this machine has for colorpipe, and what is missing: a table for a person to read."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline import __version__
from pipeline.errors import ColorpipeError
from pipeline.files.cores import cores
from pipeline.imaging.kinds import KINDS
from pipeline.models.device import choose_device, choose_dtype
from pipeline.models.resolve import find_model

NOT_SHOWN = {"all", "dev"}
"""Extras that are made of others, or for developers only."""
OF_FORMATS = "formats"


@dataclass(frozen=True)
class Finding:
    """A row of the table."""

    what: str
    found: str
    good: bool = True
    """False where something is missing; colorpipe may do without."""


def examine() -> list[Finding]:
    """Look at the installation, the devices and this folder; nothing is changed or fetched."""
    missing = missing_by_extra()
    return [
        Finding("colorpipe", f"{__version__}, Python {platform.python_version()}"),
        _device(),
        Finding("processors", f"{cores()}"),
        _model(),
        *(_extra(extra, packages) for extra, packages in missing.items()),
        *_formats(bool(missing.get(OF_FORMATS, ()))),
        _tool("git", "a project's history"),
        _project(),
    ]


def missing_by_extra() -> dict[str, list[str]]:
    """Return the packages of each extra that are not installed; an empty list is a whole extra."""
    try:
        requirements = importlib.metadata.requires("colorpipe") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for requirement in requirements:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if extra is None or name is None or extra[1] in NOT_SHOWN:
            continue
        packages = found.setdefault(extra[1], [])
        try:
            importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            packages.append(name[0])
    return dict(sorted(found.items()))


def _device() -> Finding:
    device = choose_device()
    # As `colorize` and `train` choose it unless they are given another.
    precision = str(choose_dtype(device)).removeprefix("torch.")
    why = {
        "cuda": "CUDA is there",
        "mps": "there is no CUDA, but MPS",
        "cpu": "there is neither CUDA nor MPS",
    }[device.type]
    speed = "faster here than float32" if precision == "bfloat16" else "bfloat16 is not faster here"
    return Finding("device", f"{device.type} ({why}), {precision} ({speed})")


def _model() -> Finding:
    try:
        return Finding("model", f"{find_model(None)}")
    except ColorpipeError as error:
        return Finding("model", str(error), good=False)


def _extra(extra: str, missing: Sequence[str]) -> Finding:
    if not missing:
        return Finding(f"extra {extra}", "installed")
    return Finding(
        f"extra {extra}",
        f"without {', '.join(missing)}; pip install 'colorpipe[{extra}]'",
        good=False,
    )


def _formats(without_extra: bool) -> list[Finding]:
    Image.init()
    readable = [
        kind.label
        for kind in KINDS
        # Kinds that Pillow does not know are the extra's.
        if (set(kind.pillow) & set(Image.OPEN) if kind.pillow else not without_extra)
    ]
    others = [kind.label for kind in KINDS if kind.label not in readable]
    found = [Finding("formats", ", ".join(readable))]
    if others:
        found.append(Finding("not readable here", ", ".join(others), good=False))
    return found


def _tool(name: str, work: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path or f"not installed; it is needed for {work}", good=path is not None)


def _project() -> Finding:
    if Path("dvc.yaml").is_file() and Path("params.yaml").is_file():
        return Finding("project", "this folder; `dvc repro` runs what is out of date")
    return Finding("project", "none in this folder; `colorpipe init` makes one")
