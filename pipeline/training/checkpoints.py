"""Checkpoints: the whole state of a training run, from which a stopped run resumes.

They are in a cache outside the outs of the chain, one folder a run. The folder is named by a hash
of everything that the result depends on, the code of training included: after a change of the code
a run does not resume, but starts over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from filelock import FileLock, Timeout
from PIL import Image

from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file, reason_of

CACHE = Path(".colorpipe/training")
KEPT = 4
"""Runs that were stopped of which the state is kept: with other parameters, photos or code none
resumes, and a state may take a gigabyte."""

_DAMAGED = (RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError, BadZipFile)
"""What torch raises where a file is not as it wrote it."""

_PIPELINE = Path(__file__).parents[1]

ROOMS = ("dataset", "evaluation", "imaging", "models", "networks", "recipes", "training")
"""The rooms of ``pipeline`` that decide what training gives."""


def code_digest(recipe: str, *others: Path) -> str:
    """Return a hash of the source that decides what training a recipe gives.

    That is the source of :data:`ROOMS`, but of recipes only its own and what recipes share, and of
    the files ``others``.
    """
    modules = [path for room in ROOMS for path in sorted((_PIPELINE / room).rglob("*.py"))]
    recipes = _PIPELINE / "recipes"
    counted = [path for path in modules if path.parent != recipes or path.stem == recipe]
    digest = hashlib.sha256()
    for path in (*counted, *others):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def run_key(facts: Mapping[str, Any]) -> str:
    """Return the name of the run that ``facts`` (plain values) determine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


class Checkpoint:
    """The saved state of one run: ``last.pt`` in a folder of its own."""

    def __init__(self, key: str, cache: Path = CACHE) -> None:
        self.path = cache / key / "last.pt"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of this run while the block lasts.

        The lock ends with its process, however that ends.

        Raises:
            ColorpipeError: another process trains the same, or checkpoints cannot be written.
        """
        self._make_folder()
        lock = FileLock(self.path.with_name("lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ColorpipeError(
                f"Another process is running the same training (it holds {lock.lock_file}); wait"
                " for its end, or stop it and run the same command again."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def live(self) -> Path:
        """The folder for curves that can be followed while the run lasts."""
        return self.path.parent / "live"

    def save_sheet(self, epoch: int, sheet: Image.Image) -> None:
        """Keep the contact sheet of an epoch, beside the state, until the run ends.

        Raises:
            ColorpipeError: the disk is full or cannot be written to.
        """
        path = self._samples / f"epoch-{epoch:04}.png"
        try:
            with new_file(path) as temporary:
                sheet.save(temporary)
        except OSError as error:
            raise _unwritten(f"The contact sheet {path}", error) from error

    def sheets(self) -> list[Path]:
        """Return the sheets that exist, without files that a killed process left incomplete."""
        return sorted(self._samples.glob("epoch-*.png"))

    @property
    def _samples(self) -> Path:
        return self.path.parent / "samples"

    def load(self) -> dict[str, Any] | None:
        """Return what :meth:`save` was given last, or None when there is nothing to resume from.

        Only tensors and plain values are unpickled (``weights_only``).

        Raises:
            ColorpipeError: the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise ColorpipeError(
                f"The checkpoint {self.path} cannot be read: {reason_of(error)}."
            ) from error
        # torch's own message suggests a setting that would run code in the file.
        except _DAMAGED as error:
            raise ColorpipeError(
                f"The checkpoint {self.path} is damaged; delete it to start over."
            ) from error
        if not isinstance(state, dict):
            raise ColorpipeError(
                f"{self.path} is not a checkpoint of this project; delete it to start over."
            )
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state`` (tensors, plain values, and lists and dicts of them), atomically.

        Raises:
            ColorpipeError: the disk is full or cannot be written to.
        """
        try:
            with new_file(self.path) as temporary:
                torch.save(dict(state), temporary)
        except (OSError, RuntimeError) as error:
            raise _unwritten(f"The checkpoint {self.path}", error) from error

    def require(self, size: int) -> None:
        """Check that ``size`` bytes can be written, before the work that needs them.

        Raises:
            ColorpipeError: the disk has less room, or may not be written to.
        """
        self._make_folder()
        free = shutil.disk_usage(self.path.parent).free
        # While a checkpoint is written, the previous one still exists.
        if free < 2 * size:
            raise ColorpipeError(
                f"The checkpoints of this run need {2 * size / 1e6:,.0f} MB, but"
                f" {self.path.parent} has {free / 1e6:,.0f} MB left; free some space."
            )

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ColorpipeError:
        return ColorpipeError(
            f"Checkpoints cannot be written to {self.path.parent} ({error}); run in a folder that"
            " may be written to."
        )

    def remove(self) -> None:
        """Delete the run's folder: it is done. Of those that were stopped the newest are kept."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        cache = self.path.parents[1]
        # Another process may delete the same folders.
        with contextlib.suppress(OSError):
            by_age = sorted(cache.iterdir(), key=lambda run: run.stat().st_mtime_ns, reverse=True)
            for run in by_age[KEPT:]:
                # Another process may be at work on it.
                with contextlib.suppress(ColorpipeError), Checkpoint(run.name, cache).held():
                    shutil.rmtree(run, ignore_errors=True)


def _unwritten(what: str, error: Exception) -> ColorpipeError:
    return ColorpipeError(
        f"{what} cannot be written ({error}); free some space and run the same command again."
    )
