"""Photos that lie on disk: a folder that holds a folder a category."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from pipeline.download import rejections as reasons
from pipeline.errors import ColorpipeError
from pipeline.files.listing import is_hidden, reachable_files, regular_files
from pipeline.imaging.decode import SUFFIXES
from pipeline.sources.base import Found, Later, Offer, Refusal, Shortfall
from pipeline.sources.categories import folder_name


class FolderSource:
    """Yields the photos of a folder, sub-folders of a category included, hidden ones left out.

    Args:
        root: the folder. Photos that lie directly in it belong to a category of its own name.
        max_bytes: a file larger than this is refused, unread.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def __iter__(self) -> Iterator[Found]:
        """Yield the photos in the order of their paths; files without a photo's extension are not.

        A folder that may not be read and a link that leads nowhere cost what they hold.

        Raises:
            ColorpipeError: the folder is missing or holds no photo, or two of its folders would
                become the same category.
        """
        if not self.root.is_dir():
            raise ColorpipeError(
                f"{self.root} is not a folder; --path (scrape.path) names the folder that holds"
                " a folder of photos for each category."
            )
        found = False
        for category, files, troubles in self._categories():
            for error in troubles:
                found = True
                yield Shortfall(category, _unread(error.filename, error))
            for file in files:
                found = True
                yield Later(category, partial(self._read, category, file))
        if not found:
            raise ColorpipeError(
                f"{self.root} holds no photos; put a folder for each category into it, with files"
                f" ending in {', '.join(sorted(SUFFIXES))}."
            )

    def _categories(self) -> Iterator[tuple[str, list[Path], list[OSError]]]:
        """Yield categories with their photos, and with why a folder could not be looked into."""
        try:
            inside = sorted(self.root.iterdir())
        except OSError as error:
            raise ColorpipeError(f"{self.root} could not be read ({error.strerror}).") from error
        inside = [path for path in inside if not is_hidden(Path(path.name))]
        # Path.is_dir raises where it may not look; os.path.isdir says no.
        folders = [path for path in inside if os.path.isdir(path)]  # noqa: PTH112
        owners: dict[str, Path] = {}
        for folder in folders:
            category = folder_name(folder.name, str(folder))
            other = owners.setdefault(category.casefold(), folder)
            if other is not folder:
                raise ColorpipeError(
                    f"{other} and {folder} would both become the category '{category}';"
                    " rename one of them."
                )
            files, troubles = reachable_files(folder)
            yield category, self._photos(files), troubles
        files, troubles = regular_files(sorted({*inside}.difference(folders)))
        loose = self._photos(files)
        if loose or troubles:
            category = folder_name(self.root.resolve().name, str(self.root))
            if loose and category.casefold() in owners:
                raise ColorpipeError(
                    f"{loose[0]} lies outside a category's folder; move it into one."
                )
            yield category, loose, troubles

    def _read(self, category: str, file: Path) -> Offer | Refusal | Shortfall:
        url = file.relative_to(self.root).as_posix()
        try:
            size = file.stat().st_size
            if size > self.max_bytes:
                return Refusal(category, url, reasons.TOO_LARGE, f"{size} bytes")
            return Offer(category, url, file.read_bytes())
        except OSError as error:
            return Shortfall(category, _unread(file, error))

    def _photos(self, paths: Iterable[Path]) -> list[Path]:
        return [
            path
            for path in paths
            if path.suffix.lower() in SUFFIXES and not is_hidden(path.relative_to(self.root))
        ]


def _unread(path: Path | str, error: OSError) -> str:
    return f"{path} could not be read ({error.strerror})"
