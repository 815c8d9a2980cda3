"""The page of a run of `colorpipe colorize`: what became of each file, and a gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pipeline.imaging.color import luma
from pipeline.imaging.decode import RGB, ImageError, open_photo, read_bytes
from pipeline.imaging.kinds import SUFFIXES as PHOTOS
from pipeline.inference.outcomes import Outcome
from pipeline.pages.gallery import Gallery, GalleryPhoto
from pipeline.pages.rendering import LONGEST, picture, render

SUFFIXES = frozenset({".html", ".htm"})
"""A report whose name ends so is a page."""
PICTURED = 300
"""Photos in the gallery at most, so that the page stays below 20 MB; the others are listed."""
_BEFORE, _AFTER = "gray", "colorized"


class PhotosPage:
    """Collects what became of photos and films, with a small picture of each photo.

    Only what was written is opened, never an untrusted photo: turned back to gray, it is what the
    photo was.

    Args:
        model: a sentence on what colored them.
        read: returns what was written at a path, or raises an ImageError.
    """

    def __init__(self, model: str, read: Callable[[Path], bytes] = read_bytes) -> None:
        self._model = model
        self._read = read
        self._statuses: Counter[str] = Counter()
        self._outcomes: dict[str, list[Outcome]] = {"failed": [], "damaged": []}
        self._photos: list[GalleryPhoto] = []
        self._others: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Take up what became of a photo or a film."""
        self._statuses[outcome.status] += 1
        if outcome.status in self._outcomes:
            self._outcomes[outcome.status].append(outcome)
        if outcome.status == "failed":
            return
        has_room = len(self._photos) < PICTURED
        colored = self._open(outcome.outputs[0]) if has_room and outcome.outputs else None
        if colored is None:
            self._others.append(outcome)
            return
        folder = PurePosixPath(outcome.name).parent.as_posix()
        pictures = {_BEFORE: picture(luma(colored)), _AFTER: picture(colored)}
        note = ". ".join(part for part in (outcome.reason, outcome.note) if part)
        self._photos.append(GalleryPhoto(outcome.name, folder, pictures, outcome.name, note))

    def render(self) -> str:
        """Return the page."""
        return render(
            "photos.html",
            summary=self._summary(),
            model=self._model,
            failed=self._outcomes["failed"],
            damaged=self._outcomes["damaged"],
            gallery=Gallery(self._photos, [_BEFORE, _AFTER], _BEFORE, _AFTER),
            others=self._others,
            limit=PICTURED,
        )

    def _summary(self) -> str:
        total = self._statuses.total()
        parts = ", ".join(f"{count} {status}" for status, count in self._statuses.most_common())
        return f"{total} file{'' if total == 1 else 's'}: {parts or 'none'}."

    def _open(self, path: Path) -> RGB | None:
        if path.suffix.lower() not in PHOTOS:  # a film
            return None
        try:
            return open_photo(self._read(path), at_least=LONGEST).pixels
        # A format may be written by a library that Pillow reads nothing of.
        except ImageError:
            return None
