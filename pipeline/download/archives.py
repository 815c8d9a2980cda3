"""Reads untrusted tar and zip archives, and folders, member by member, without unpacking them.

Nothing is written to disk, so a name like ``../../x`` does no harm. Links in an archive are not
followed, and the size that a member or the whole archive may unpack to is limited.
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

from pipeline.download import rejections
from pipeline.errors import ColorpipeError
from pipeline.files.listing import reachable_files

MAX_UNPACKED = 256 * 2**30
"""Bytes that an archive may unpack to in all; the largest data set here, Places365, has 25 GB."""
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
"""What the standard library raises on damaged, encrypted or unknown content."""
_ZIP_SIGNATURES = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
"""Of a file, of an archive without files, and of one in parts. A tar begins with a file's name."""
_END_BLOCK = bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Content:
    """The bytes of a file in an archive, or the reason why it was not read."""

    data: bytes = b""
    reason: str = ""
    """One of :mod:`pipeline.download.rejections`, if it was not read."""
    detail: str = ""


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    """Its path inside, with ``/``. Untrusted: never use it as a path on disk."""
    read: Callable[[], Content]
    """Reads the file; call it before asking for the next member."""


def members(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    """Yield the files of an archive or a folder whose names are ``wanted``.

    A tar's files come in its own order, those of a zip or a folder sorted by name. In a folder,
    pipes and devices are skipped, since reading one may never end. In a zip or a folder, only
    members whose ``read`` is called are read.

    Args:
        path: a tar (plain, gzip, bzip2 or xz), a zip, or a folder.
        wanted: whether a file of this name is yielded.
        max_bytes: a larger file is not read.

    Raises:
        ColorpipeError: the archive is missing, of an unknown kind, damaged or unpacks to too much,
            or a subfolder cannot be read.
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
    reader = _zip if start.startswith(_ZIP_SIGNATURES) else _tar
    try:
        yield from reader(path, wanted, max_bytes)
    except _DAMAGE as error:
        raise ColorpipeError(
            f"{path} is not an archive that can be read ({error}); download it again."
        ) from error


def _folder(root: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    files, troubles = reachable_files(root)
    if troubles:
        raise ColorpipeError(
            f"{troubles[0].filename} could not be read ({troubles[0].strerror}); make it readable,"
            " or download the data set again."
        )
    for file in files:
        name = file.relative_to(root).as_posix()
        if wanted(name):
            yield Member(name, partial(_read_file, file, max_bytes))


def _read_file(file: Path, max_bytes: int) -> Content:
    try:
        size = file.stat().st_size
        if size > max_bytes:
            return Content(reason=rejections.TOO_LARGE, detail=f"{size} bytes")
        return Content(file.read_bytes())
    except OSError as error:
        return Content(reason=rejections.DAMAGED, detail=str(error.strerror))


def _zip(path: Path, wanted: Callable[[str], bool], max_bytes: int) -> Iterator[Member]:
    unpacked = 0

    def read(info: zipfile.ZipInfo) -> Content:
        nonlocal unpacked
        if stat.S_ISLNK(info.external_attr >> 16):
            return Content(reason=rejections.LINK)
        try:
            with archive.open(info) as stream:
                # The size in the zip's directory may be a lie.
                data = stream.read(max_bytes + 1)
        except _DAMAGE as error:
            return Content(reason=rejections.DAMAGED, detail=str(error))
        unpacked += len(data)
        _check_total(path, unpacked)
        if len(data) > max_bytes:
            return Content(reason=rejections.TOO_LARGE, detail=f"over {max_bytes} bytes")
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
                # tarfile remembers every member; a million of them would fill the memory.
                archive.members.clear()  # type: ignore[attr-defined]
                if not info.isdir() and wanted(info.name):
                    content = _tar_content(archive, info, max_bytes)
                    yield Member(info.name, _already_read(content))
        # tarfile takes a damaged or incomplete header for the end.
        if not bounded.ended:
            raise tarfile.ReadError("it is damaged or cut off after some of its files")


def _tar_content(archive: tarfile.TarFile, info: tarfile.TarInfo, max_bytes: int) -> Content:
    """Read a member right away, so that damage is found where :func:`members` can report it."""
    if not info.isreg():
        return Content(reason=rejections.LINK)
    if info.size > max_bytes:
        return Content(reason=rejections.TOO_LARGE, detail=f"{info.size} bytes")
    file = archive.extractfile(info)
    return Content(b"" if file is None else file.read())


def _already_read(content: Content) -> Callable[[], Content]:
    return lambda: content


def _unpacked(path: Path) -> IO[bytes]:
    """Open a file, decompressing it as its signature says, whatever its name."""
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
    """A stream that limits single reads and the total.

    tarfile reads an extended header in one go, whatever size it claims to have.
    """

    ended = False
    """Whether the last read gave the block of zeros at the end of a tar."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._most = max(max_bytes, 2**20)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._most:
            raise ColorpipeError(f"{self._path} has a header of {size} bytes; it is not read.")
        data = self._stream.read(size)
        self.ended = data == _END_BLOCK
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
