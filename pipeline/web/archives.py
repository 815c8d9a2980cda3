"""Reading tar and zip archives, and folders, member by member, without unpacking them.

Nothing is written to disk, so no name in an archive can lead anywhere; links are not followed, and
what a member or the whole archive may unpack to is bounded.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pipeline.errors import ColorpipeError
from pipeline.sources import reasons

MAX_UNPACKED = 256 * 2**30
"""Bytes that an archive may unpack to in all; the largest known here, Places365's, has 25 GB."""
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    struct.error,
    NotImplementedError,
    RuntimeError,
)
"""What the readers raise on damaged, encrypted or unknown content."""


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    """Its path inside, with ``/``. Never to be used as a path on disk."""
    data: bytes = b""
    reason: str = ""
    """One of :mod:`pipeline.sources.reasons`, when it was not read."""
    detail: str = ""


def members(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    """Yield the files of an archive (or of a folder) whose name is ``wanted``.

    A pipe or a device in a folder is passed over: to read one may take for ever. A tar's come in
    its own order, a zip's and a folder's in the order of their names.

    Args:
        path: a tar (plain, gzip, bzip2 or xz), a zip, or a folder.
        wanted: judges a name; other files are passed over.
        max_bytes: a larger file is not read.

    Raises:
        ColorpipeError: the archive is missing, of no known kind, damaged or unpacks to too much.
    """
    if path.is_dir():
        yield from _folder(path, wanted, max_bytes)
        return
    if path.exists() and not path.is_file():
        raise ColorpipeError(
            f"{path} is neither a file nor a folder; name an archive or a folder with --path"
            " (scrape.path)."
        )
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise ColorpipeError(
            f"{path} could not be read ({error.strerror}); name an archive or a folder with"
            " --path (scrape.path)."
        ) from error
    reader = _zip if start.startswith(b"PK") else _tar
    try:
        yield from reader(path, wanted, max_bytes)
    except _DAMAGE as error:
        raise ColorpipeError(
            f"{path} is no archive that can be read ({error}); get it again."
        ) from error


def _folder(root: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if not wanted(name) or file.is_dir():
            continue
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                continue
            if status.st_size > max_bytes:
                detail = f"{status.st_size} bytes"
                yield Member(name, reason=reasons.TOO_LARGE, detail=detail)
            else:
                yield Member(name, file.read_bytes())
        except OSError as error:
            yield Member(name, reason=reasons.DAMAGED, detail=str(error.strerror))


def _zip(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        unpacked = 0
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            name = info.filename
            if info.is_dir() or not wanted(name):
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                yield Member(name, reason=reasons.LINK)
                continue
            try:
                with archive.open(info) as stream:
                    # The size that the directory claims is not to be believed.
                    data = stream.read(max_bytes + 1)
            except _DAMAGE as error:
                yield Member(name, reason=reasons.DAMAGED, detail=str(error))
                continue
            unpacked += len(data)
            _check_total(path, unpacked)
            if len(data) > max_bytes:
                yield Member(name, reason=reasons.TOO_LARGE, detail=f"over {max_bytes} bytes")
            else:
                yield Member(name, data)


def _tar(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    with (
        _unpacked(path) as stream,
        tarfile.open(fileobj=_Bounded(stream, path, max_bytes), mode="r:") as archive,
    ):
        for info in archive:
            # tarfile keeps what it has seen; a million members would stay in memory.
            archive.members.clear()  # type: ignore[attr-defined]
            if info.isdir() or not wanted(info.name):
                continue
            if not info.isreg():
                yield Member(info.name, reason=reasons.LINK)
            elif info.size > max_bytes:
                detail = f"{info.size} bytes"
                yield Member(info.name, reason=reasons.TOO_LARGE, detail=detail)
            else:
                file = archive.extractfile(info)
                data = b"" if file is None else file.read()
                yield Member(info.name, data)


def _unpacked(path: Path) -> IO[bytes]:
    """Open a file and decompress it by its signature, whatever its name."""
    with path.open("rb") as stream:
        start = stream.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(path))
    if start.startswith(b"BZh"):
        return bz2.BZ2File(path)
    if start == b"\xfd7zXZ\0":
        return lzma.LZMAFile(path)
    return path.open("rb")


def _check_total(path: Path, unpacked: int) -> None:
    if unpacked > MAX_UNPACKED:
        raise ColorpipeError(
            f"{path} unpacks to more than {MAX_UNPACKED // 2**30} GiB; it is not read."
        )


class _Bounded(io.RawIOBase):
    """A stream of which only so much can be read at once, and in all.

    tarfile reads an extended header whole, whatever size it claims.
    """

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._most = max(max_bytes, 2**20)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._most:
            raise ColorpipeError(f"{self._path} has a header of {size} bytes; it is not read.")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        _check_total(self._path, offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
