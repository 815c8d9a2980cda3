"""Data sets that come as archives of photos: what they share, and those that need nothing more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pooch

from pipeline.download.archives import Member, members
from pipeline.download.cache import FOLDER
from pipeline.errors import ColorpipeError
from pipeline.files.listing import is_hidden
from pipeline.files.progress import ProgressReport
from pipeline.imaging.decode import SUFFIXES
from pipeline.params import ScrapeParams
from pipeline.sources.base import INBOX, Found, Later, Offer, Refusal

DATASETS = FOLDER / "datasets"
"""Where official files are kept once downloaded."""


@dataclass(frozen=True)
class OfficialFile:
    """A file that a data set's makers publish."""

    url: str
    md5: str | None
    """As published; None when nobody publishes a hash of the whole."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", maxsplit=1)[-1]


def obtain(file: OfficialFile, folder: Path = DATASETS) -> Path:
    """Download an official file unless it is there, and check it; return where it lies.

    A download that was cut off is gone on with by the next call.

    Raises:
        ColorpipeError: it cannot be had, or is not the file that was published.
    """
    path = folder.resolve() / file.name
    if path.is_file() and _is_published(path, file):
        return path
    part = path.with_name(f"{file.name}.part")
    otherwise = "download it by other means and name it with --path (scrape.path)."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ProgressReport(f"Downloading {file.name}", None, "MiB") as progress:
            _download(file.url, part, progress)
    # The errors of pooch's HTTP client are OSErrors without a text of the system's.
    except OSError as error:
        why = error.strerror or "its host cannot be reached, does not have it or hung up"
        raise ColorpipeError(
            f"{file.url} could not be had: {why}; run again, which goes on where this stopped, or"
            f" {otherwise}"
        ) from error
    published = _is_published(part, file)
    _tag(part).unlink(missing_ok=True)
    if not published:
        part.unlink()
        raise ColorpipeError(
            f"{file.url} could not be had: its MD5 is not the one that was published; {otherwise}"
        )
    part.replace(path)
    return path


def _is_published(path: Path, file: OfficialFile) -> bool:
    return file.md5 is None or pooch.file_hash(str(path), alg="md5") == file.md5


def _tag(part: Path) -> Path:
    """Where the ETag or the date stands of the file that ``part`` is the beginning of."""
    return part.with_name(f"{part.name}.tag")


def _download(url: str, part: Path, progress: ProgressReport) -> None:
    """Fetch what ``part`` lacks, or all where the server has another file by now or cannot tell.

    It is asked by RFC 9110, section 13.1.5 ("If-Range").
    """
    tag = _tag(part)
    headers = {"Accept-Encoding": "identity"}
    same = tag.read_text(encoding="latin-1") if tag.exists() else ""
    # The last byte once more: a server refuses to send nothing.
    done = max(0, part.stat().st_size - 1) if part.exists() and same.isprintable() and same else 0
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": same}
    with part.open("ab") as stream:
        stream.truncate(done)

        def begin(response: Any, **_: object) -> None:
            if response.status_code == 200:
                stream.truncate(0)
                strong = response.headers.get("ETag", "W/")
                weak = strong.startswith("W/")
                same = response.headers.get("Last-Modified", "") if weak else strong
                tag.write_text(same, encoding="latin-1")

        pooch.HTTPDownloader(
            progressbar=_Progress(progress), headers=headers, hooks={"response": begin}
        )(url, stream, None)


class _Progress:
    """What pooch expects of a progress bar: it counts bytes."""

    def __init__(self, report: ProgressReport) -> None:
        self.total = 0
        self._report = report
        self._done = 0
        self._reported = 0

    def update(self, count: int) -> None:
        self._done += count
        more = self._done // 2**20 - self._reported
        if more > 0:
            self._reported += more
            self._report.advance(more)

    def reset(self) -> None:
        """Called at the end, before all bytes are counted once more."""
        self._done = 0

    def close(self) -> None:
        """The report is closed by whoever opened it."""


def on_disk(path: Path, name: str) -> Path | None:
    """Where a copy lies that the user has; None when there is none, and it is to be downloaded.

    Args:
        path: ``scrape.path``: the copy, or a folder with the official file in it.
        name: the official file's.
    """
    if (path / name).is_file():
        return path / name
    if path == INBOX and not any(_counts(file) for file in path.rglob("*")):
        return None
    return path


def _counts(file: Path) -> bool:
    """Whether a file makes the inbox more than an empty folder."""
    return file.is_file() and not file.name.startswith((".", "README"))


class ArchiveSource:
    """Yields the photos of an archive or a folder.

    Args:
        path: a function that returns where it is, downloading it if need be.
        category_of: the category of a file by its name inside; None leaves the file out.
        max_bytes: a larger photo is refused.
        page: where the data set is described.
        license: as its makers state it.
    """

    def __init__(
        self,
        path: Callable[[], Path],
        category_of: Callable[[str], str | None],
        max_bytes: int,
        page: str,
        license: str,
    ) -> None:
        self._path = path
        self._category_of = category_of
        self._max_bytes = max_bytes
        self._page = page
        self._license = license

    def __iter__(self) -> Iterator[Found]:
        """Yield the photos in the order of :func:`pipeline.download.archives.members`.

        Raises:
            ColorpipeError: the archive cannot be had or read, or holds no photo.
        """
        path = self._path()
        found = False
        for member in members(path, is_photo, self._max_bytes):
            category = self._category_of(member.name)
            if category is not None:
                found = True
                url = f"{path.name}#{member.name}"
                yield Later(category, partial(look, member, url, category, self._license))
        if not found:
            raise ColorpipeError(f"{path} holds no photos of this data set; see {self._page}.")


def is_photo(name: str) -> bool:
    """Whether a name inside an archive is a photo's (:func:`is_hidden` ones are not)."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def look(member: Member, url: str, category: str, license: str) -> Offer | Refusal:
    """What becomes of a member: its photo, or why it was not read."""
    content = member.read()
    if content.reason:
        return Refusal(category, url, content.reason, content.detail)
    return Offer(category, url, content.data, license=license)


COCO_SAMPLE = OfficialFile("https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz", None)
# fastai publishes the size and the MD5 of the first MiB (fastai/data/checks.txt).
_COCO_BYTES = 3_245_877_008
_COCO_START = "006cd55d633d94b36ecaf661467830ec"


def coco_sample_source(params: ScrapeParams) -> ArchiveSource:
    """COCO_SAMPLE of fastai: photos of COCO 2017, in one category, ``coco``."""

    def path() -> Path:
        copy = on_disk(params.path, COCO_SAMPLE.name)
        if copy is not None:
            return copy
        archive = obtain(COCO_SAMPLE)
        with archive.open("rb") as stream:
            start = hashlib.md5(stream.read(2**20), usedforsecurity=False).hexdigest()
        if (archive.stat().st_size, start) != (_COCO_BYTES, _COCO_START):
            archive.unlink()
            raise ColorpipeError(
                f"{COCO_SAMPLE.url} is not the file that fastai describes; nothing of it was kept."
            )
        return archive

    page = "https://docs.fast.ai/data.external.html"
    license = "Flickr photos under Creative Commons licenses (cocodataset.org/#termsofuse)"
    return ArchiveSource(path, lambda _: "coco", params.max_bytes, page, license)


def landscapes_source(params: ScrapeParams) -> ArchiveSource:
    """Kaggle's Landscape Pictures: 4,319 photos from Flickr, in one category, ``landscapes``.

    Raises:
        ColorpipeError: no path is given; Kaggle hands it out to members only.
    """
    page = "https://www.kaggle.com/datasets/arnaud58/landscape-pictures"
    copy = on_disk(params.path, "archive.zip")
    if copy is None:
        raise ColorpipeError(
            f"Kaggle gives Landscape Pictures to its members only; download it from {page} and"
            " name the zip, or the folder it unpacks to, with --path (scrape.path)."
        )
    license = "see Kaggle's page"
    return ArchiveSource(lambda: copy, lambda _: "landscapes", params.max_bytes, page, license)
