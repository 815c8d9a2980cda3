"""Reading tar and zip archives, and folders, member by member, without unpacking them.

Nothing is written to disk, so no name in an archive can lead anywhere; its links are not followed,
and what a member or the whole archive may unpack to is bounded.
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
from functools import partial
from pathlib import Path
from typing import IO, cast

from pipeline.download import rejections as reasons
from pipeline.errors import ColorpipeError
from pipeline.files.listing import reachable_files

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
_END = bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Content:
    """What a file of an archive holds."""

    data: bytes = b""
    reason: str = ""
    """One of :mod:`pipeline.download.rejections`, when it was not read."""
    detail: str = ""


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    """Its path inside, with ``/``. Never to be used as a path on disk."""
    read: Callable[[], Content]
    """Reads it; to be called before the next member is asked for."""


def members(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    """Yield the files of an archive (or of a folder) whose name is ``wanted``.

    A pipe or a device in a folder is passed over: to read one may take for ever. A tar's come in
    its own order, a zip's and a folder's in the order of their names. Of a zip or a folder nothing
    is read but the members that are asked for.

    Args:
        path: a tar (plain, gzip, bzip2 or xz), a zip, or a folder.
        wanted: judges a name; other files are passed over.
        max_bytes: a larger file is not read.

    Raises:
        ColorpipeError: the archive is missing, of no known kind, damaged or unpacks to too much, or
            a folder in the folder cannot be read.
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
    files, troubles = reachable_files(root)
    if troubles:
        raise ColorpipeError(
            f"{troubles[0].filename} could not be read ({troubles[0].strerror}); make it readable,"
            " or get the data set again."
        )
    for file in files:
        name = file.relative_to(root).as_posix()
        if wanted(name):
            yield Member(name, partial(_read_file, file, max_bytes))


def _read_file(file: Path, max_bytes: int) -> Content:
    try:
        size = file.stat().st_size
        if size > max_bytes:
            return Content(reason=reasons.TOO_LARGE, detail=f"{size} bytes")
        return Content(file.read_bytes())
    except OSError as error:
        return Content(reason=reasons.DAMAGED, detail=str(error.strerror))


def _zip(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    unpacked = 0

    def read(info: zipfile.ZipInfo) -> Content:
        nonlocal unpacked
        if stat.S_ISLNK(info.external_attr >> 16):
            return Content(reason=reasons.LINK)
        try:
            with archive.open(info) as stream:
                # The size that the directory claims is not to be believed.
                data = stream.read(max_bytes + 1)
        except _DAMAGE as error:
            return Content(reason=reasons.DAMAGED, detail=str(error))
        unpacked += len(data)
        _check_total(path, unpacked)
        if len(data) > max_bytes:
            return Content(reason=reasons.TOO_LARGE, detail=f"over {max_bytes} bytes")
        return Content(data)

    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if not info.is_dir() and wanted(info.filename):
                yield Member(info.filename, partial(read, info))


def _tar(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    with _unpacked(path) as stream:
        bounded = _Bounded(stream, path, max_bytes)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            for info in archive:
                # tarfile keeps what it has seen; a million members would stay in memory.
                archive.members.clear()  # type: ignore[attr-defined]
                if not info.isdir() and wanted(info.name):
                    content = _tar_content(archive, info, max_bytes)
                    yield Member(info.name, partial(_same, content))
        # tarfile takes a header that is damaged or cut for the end.
        if not bounded.ended:
            raise tarfile.ReadError("it is damaged or cut off after some of its files")


def _tar_content(archive: tarfile.TarFile, info: tarfile.TarInfo, max_bytes: int) -> Content:
    """Read a member at once, so that damage shows where :func:`members` can tell of it."""
    if not info.isreg():
        return Content(reason=reasons.LINK)
    if info.size > max_bytes:
        return Content(reason=reasons.TOO_LARGE, detail=f"{info.size} bytes")
    file = archive.extractfile(info)
    return Content(b"" if file is None else file.read())


def _same(content: Content) -> Content:
    return content


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

    ended = False
    """Whether the last that was read is the block of zeros at the end of a tar."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._most = max(max_bytes, 2**20)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._most:
            raise ColorpipeError(f"{self._path} has a header of {size} bytes; it is not read.")
        data = self._stream.read(size)
        self.ended = data == _END
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        _check_total(self._path, offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
