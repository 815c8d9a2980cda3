"""Photos that lie on disk: a folder that holds a folder a category."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.images import SUFFIXES
from pipeline.sources import reasons
from pipeline.sources.base import Found, Later, Offer, Refusal, Shortfall, is_hidden
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
        for category, files in self._categories():
            for file in files:
                found = True
                yield Later(category, partial(self._read, category, file))
        if not found:
            raise ColorpipeError(
                f"{self.root} holds no photos; put a folder for each category into it, with files"
                f" ending in {', '.join(sorted(SUFFIXES))}."
            )

    def _categories(self) -> Iterator[tuple[str, list[Path]]]:
        try:
            inside = sorted(self.root.iterdir())
        except OSError as error:
            raise ColorpipeError(f"{self.root} could not be read ({error.strerror}).") from error
        folders = [path for path in inside if path.is_dir() and not is_hidden(Path(path.name))]
        owners: dict[str, Path] = {}
        for folder in folders:
            category = folder_name(folder.name, str(folder))
            other = owners.setdefault(category.casefold(), folder)
            if other is not folder:
                raise ColorpipeError(
                    f"{other} and {folder} would both become the category '{category}';"
                    " rename one of them."
                )
            yield category, self._photos(folder.rglob("*"))
        loose = self._photos(inside)
        if loose:
            category = folder_name(self.root.resolve().name, str(self.root))
            if category.casefold() in owners:
                raise ColorpipeError(
                    f"{loose[0]} lies outside a category's folder; move it into one."
                )
            yield category, loose

    def _read(self, category: str, file: Path) -> Offer | Refusal | Shortfall:
        url = file.relative_to(self.root).as_posix()
        try:
            size = file.stat().st_size
            if size > self.max_bytes:
                return Refusal(category, url, reasons.TOO_LARGE, f"{size} bytes")
            return Offer(category, url, file.read_bytes())
        except OSError as error:
            return Shortfall(category, f"{file} could not be read ({error.strerror})")

    def _photos(self, paths: Iterable[Path]) -> list[Path]:
        return sorted(
            path
            for path in paths
            if path.suffix.lower() in SUFFIXES
            and not is_hidden(path.relative_to(self.root))
            and path.is_file()
        )
