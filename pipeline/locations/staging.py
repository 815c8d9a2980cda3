"""Local folders that stand for URLs while a stage works, which knows nothing of storage."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from pipeline.errors import ColorpipeError, Failure
from pipeline.location import WEB, Location, Url, parse_location
from pipeline.locations.folders import (
    check_publishable,
    fetch_file,
    fetch_folder,
    publish_folder,
)


class Staging:
    """Fetches what a stage reads and publishes what it wrote; a context manager.

    Paths of this computer stay what they are. Errors that leave the block name URLs, not the local
    folders that stand for them. These lie where the system has its temporary files (``TMPDIR``).
    """

    def __init__(self) -> None:
        self._work: Path | None = None
        self._urls: dict[Path, Url] = {}
        self._results: list[tuple[Path, Url]] = []
        self._failures: list[Failure] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
        if isinstance(error, ColorpipeError):
            # The error stays what it is: not every kind is made from its sentence.
            error.args = (self._named(str(error)),)

    def fetched(self, place: str | Location, *, optional: bool = False) -> Path:
        """Return the local copy of a folder or a file; of an ``optional`` file it may be missing.

        Raises:
            ColorpipeError: ``place`` is no usable URL, or nothing is there, or it cannot be read.
        """
        location = parse_location(place)
        if isinstance(location, Path):
            return location
        path = self._place_of(location)
        is_file = fetch_file(location, path)
        if not is_file and not optional:
            if location.scheme in WEB:
                raise ColorpipeError(f"There is no file {location}.")
            self._failures += fetch_folder(location, path)
        return path

    def published(
        self, place: str | Location, option: str, *, near: Iterable[str | Location] = ()
    ) -> Path:
        """Return the place of a folder of results, which :meth:`finish` publishes.

        Args:
            place: where it is to be.
            option: the option that names another place ("--clean").
            near: what else the stage reads; ``place`` must not be, contain or lie inside it.

        Raises:
            ColorpipeError: ``place`` is no usable URL, holds what no stage published, or overlaps.
        """
        location = parse_location(place)
        if isinstance(location, Path):
            return location
        for other in map(parse_location, near):
            if location.holds(other) or (isinstance(other, Url) and other.holds(location)):
                raise ColorpipeError(
                    f"{location}, which will be replaced, and {other} overlap; name another folder"
                    f" with {option}."
                )
        check_publishable(location, option)
        path = self._place_of(location)
        self._results.append((path, location))
        return path

    def finish(self, failures: Sequence[Failure]) -> list[Failure]:
        """Publish the results of a stage that has succeeded.

        Args:
            failures: of the stage.

        Returns:
            These failures, and those of what could not be fetched or published.

        Raises:
            ColorpipeError: a result was not published.
        """
        named = [Failure(self._named(each.what), self._named(each.reason)) for each in failures]
        unpublished: list[Failure] = []
        for path, url in self._results:
            unpublished += publish_folder(path, url)
        return [*self._failures, *named, *unpublished]

    def _place_of(self, url: Url) -> Path:
        # Where there are no URLs, a kill leaves nothing behind.
        if self._work is None:
            self._work = Path(tempfile.mkdtemp(prefix="colorpipe-"))
        # Under its own name: a photo outside any folder gets its category from it.
        path = self._work / str(len(self._urls)) / url.name
        path.parent.mkdir()
        self._urls[path] = url
        return path

    def _named(self, text: str) -> str:
        for path, url in self._urls.items():
            text = text.replace(str(path), str(url))
        return text
