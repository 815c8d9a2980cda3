"""What becomes of a photo or a film, from the job on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.errors import Failure
from pipeline.inference.jobs import Job


@dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    name: str
    status: Literal["colorized", "damaged", "skipped", "failed"]
    """Damaged: it was colorized, but a part of it is not what it was."""
    outputs: tuple[Path, ...] = ()
    """Several where each page has a file of its own."""
    reason: str = ""
    """Why it failed, or what is damaged."""
    note: str = ""
    """What else its owner should know."""
    barred: str = ""
    """What the storage said that took no result of it, and may take none at all."""


Item: TypeAlias = Job | Failure | Outcome
"""A photo or a film that is to be colored, or of which it is known already what becomes of it."""
