"""Files that the makers of a data set publish: downloaded once, resumed, and checked by MD5."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch

from pipeline.download.cache import DOWNLOADS
from pipeline.errors import ColorpipeError
from pipeline.files.outputs import locked
from pipeline.files.progress import ProgressReport

DATASETS = DOWNLOADS / "datasets"
"""Where official files are kept."""
_OTHERWISE = "download it by other means and name it with --path (scrape.path)."


@dataclass(frozen=True)
class OfficialFile:
    """A file as its makers publish it."""

    url: str
    md5: str | None
    """As published; None if nobody publishes a hash of the whole file."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", maxsplit=1)[-1]


def obtain(file: OfficialFile, folder: Path = DATASETS) -> Path:
    """Return the path of an official file in ``folder``, downloading it if it is not there.

    An interrupted download is resumed by the next call.

    Raises:
        ColorpipeError: the file cannot be downloaded, does not have the published MD5, or is being
            downloaded by another process.
    """
    path = folder.resolve() / file.name
    if path.is_file() and _is_published(path, file):
        return path
    part = path.with_name(f"{file.name}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.touch()
        with locked(part) as alone:
            if alone is False:
                raise ColorpipeError(
                    f"{file.url} is downloaded by another command right now; when that has ended,"
                    " run again."
                )
            _complete(part, file)
            part.replace(path)
    # pooch's HTTP client raises OSErrors without the system's text.
    except OSError as error:
        why = error.strerror or "the host cannot be reached, does not have it or hung up"
        raise ColorpipeError(
            f"{file.url} could not be downloaded: {why}; run again to resume, or {_OTHERWISE}"
        ) from error
    return path


def _complete(part: Path, file: OfficialFile) -> None:
    """Download what ``part`` lacks, and check the whole."""
    with ProgressReport(f"Downloading {file.name}", None, "MiB") as progress:
        _download(file.url, part, progress)
    published = _is_published(part, file)
    _validator_file(part).unlink(missing_ok=True)
    if not published:
        part.unlink()
        raise ColorpipeError(
            f"{file.url} could not be downloaded: what came does not have the published MD5;"
            f" {_OTHERWISE}"
        )


def _is_published(path: Path, file: OfficialFile) -> bool:
    return file.md5 is None or pooch.file_hash(str(path), alg="md5") == file.md5


def _validator_file(part: Path) -> Path:
    """The file with the ETag or date by which the server recognizes what ``part`` began."""
    return part.with_name(f"{part.name}.tag")


def _download(url: str, part: Path, progress: ProgressReport) -> None:
    """Complete ``part``, or start over if the server's file has changed or cannot be recognized.

    How a range is requested on that condition: RFC 9110, section 13.1.5 ("If-Range").
    """
    validator_file = _validator_file(part)
    headers = {"Accept-Encoding": "identity"}
    validator = validator_file.read_text(encoding="latin-1") if validator_file.exists() else ""
    resumable = part.exists() and validator and validator.isprintable()
    # The last byte is asked for again: servers answer an empty range with an error.
    done = max(0, part.stat().st_size - 1) if resumable else 0
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    with part.open("ab") as stream:
        stream.truncate(done)

        def begin(response: Any, **_: object) -> None:
            # 200 rather than 206: the whole file follows.
            if response.status_code == 200:
                stream.truncate(0)
                etag = response.headers.get("ETag", "W/")
                is_weak = etag.startswith("W/")
                validator = response.headers.get("Last-Modified", "") if is_weak else etag
                validator_file.write_text(validator, encoding="latin-1")

        pooch.HTTPDownloader(
            progressbar=_Progress(progress), headers=headers, hooks={"response": begin}
        )(url, stream, None)


class _Progress:
    """The progress bar that pooch expects: it counts bytes."""

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
        """Pooch calls this at the end, before it counts all bytes once more."""
        self._done = 0

    def close(self) -> None:
        """The report is closed by whoever opened it."""
