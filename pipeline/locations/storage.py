"""Objects behind a URL, by fsspec and the providers' own libraries.

Credentials, endpoints and regions are what these libraries find: environment variables and profile
files (for S3 ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and so on). So is how often a request is tried
again (``AWS_MAX_ATTEMPTS``, ``AWS_RETRY_MODE``), and timeouts are fsspec's (``FSSPEC_S3``).
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ColorpipeError
from pipeline.location import OBJECT_STORAGE, WEB, Url

TRANSFERS = 16
"""Objects that are read or written at the same time: they wait for servers, not for the CPU."""
TRANSFER_BYTES = 1 << 26
"""Objects under way have as many bytes together, or one more."""

FIRST_ANSWER = 60.0
"""Seconds until a storage that was asked for the first time is taken not to be there. Later it may
take the minutes that its library has the patience for."""
WEB_TIMEOUT = 60.0
"""Seconds that a web server may say nothing."""
WEB_ATTEMPTS = 4
"""How often it is asked, with longer and longer waits."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "http": "aiohttp", "https": "aiohttp"}
_IN_EXTRA = {"s3fs", "aiohttp"}
_USER_INFO = re.compile(r"//[^/@\s]*@")
_QUERY = re.compile(r"(://[^\s?'\"]*)\?[^\s'\"]*")

T = TypeVar("T")
R = TypeVar("R")


class StorageError(Exception):
    """A request failed, though it was tried again; the message is a phrase for a ``Failure``."""


class UnreachableError(StorageError):
    """There was nobody to connect to."""


@dataclass(frozen=True)
class Entry:
    """An object, as a listing has it; a row of a table."""

    name: str
    """Relative to the URL that was listed, with slashes."""
    bytes: int
    etag: str
    """What the storage says of the content: the MD5 if it tells that, as S3 does for one upload;
    empty if it says nothing."""


class Storage:
    """What lies at ``url`` and below it.

    Raises:
        ColorpipeError: the package for this kind of storage is not installed, or finds no
            credentials.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        try:
            self._files = _file_system(url.scheme)
        except StorageError as error:
            raise ColorpipeError(_unreachable(url, "opened", error)) from error

    def is_file(self) -> bool:
        """Whether ``url`` is a single object; of a web server, whatever it may be.

        Raises:
            ColorpipeError: nobody can tell.
        """
        if self.url.scheme in WEB:
            return True
        try:
            return "/" in self.url.path and self.has("", FIRST_ANSWER)
        except StorageError as error:
            raise ColorpipeError(_unreachable(self.url, "read", error)) from error

    def has(self, name: str, timeout: float | None = None) -> bool:
        """Whether there is an object ``name``; an answer may take ``timeout`` seconds.

        Raises:
            StorageError: nobody can tell.
        """
        try:
            with _errors_as_phrases():
                found = self._files.info(self._path(name), timeout=timeout)
                return bool(found["type"] == "file")
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise

    def entries(self) -> Iterator[Entry]:
        """Yield what lies below ``url``, by name, in the order of the code points.

        Of S3 a page of 1,000 objects is in memory at a time, of others one folder.

        Raises:
            ColorpipeError: there is no such bucket, no permission, no answer, or no listing.
        """
        if self.url.scheme not in OBJECT_STORAGE:
            raise ColorpipeError(
                f"{self.url} is on a web server, which does not list what it has; name one file."
            )
        try:
            with _errors_as_phrases():
                yield from self._pages() if self.url.scheme == "s3" else self._below(self._path())
        except StorageError as error:
            raise ColorpipeError(_unreachable(self.url, "listed", error)) from error

    def read(self, name: str, path: Path) -> None:
        """Write the object ``name`` to ``path``.

        Raises:
            StorageError: it could not be read.
            OSError: it could not be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with _errors_as_phrases():
            self._files.get_file(self._path(name), str(path))

    def write(self, path: Path, name: str) -> None:
        """Make ``path`` the object ``name``, by one upload: it appears whole or not at all.

        Raises:
            StorageError: it could not be written.
        """
        with _errors_as_phrases():
            self._files.put_file(str(path), self._path(name))

    def delete(self, name: str) -> None:
        """Delete the object ``name``.

        Raises:
            StorageError: it could not be deleted.
        """
        with _errors_as_phrases():
            # Not ``rm``, to which ``a[1].png`` is a pattern that means ``a1.png``.
            self._files.rm_file(self._path(name))

    def _path(self, name: str = "") -> str:
        """Return what fsspec calls an object.

        Raises:
            StorageError: fsspec would take it for another one, as Azure's ``a?#b`` for ``a#b``.
        """
        path = (self.url / name).path
        if self.url.scheme in WEB:
            return f"{self.url.scheme}://{path}" + (f"?{self.url.query}" if self.url.query else "")
        if self._files._strip_protocol(path).strip("/") != path.strip("/"):
            raise StorageError(f"names like its own cannot be used with {self.url.scheme}://")
        return path

    def _pages(self) -> Iterator[Entry]:
        bucket, _, key = self.url.path.partition("/")
        prefix = f"{key}/" if key else ""
        more: dict[str, Any] = {"timeout": FIRST_ANSWER}
        while True:
            page = self._files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
            for found in page.get("Contents", ()):
                yield Entry(found["Key"][len(prefix) :], found["Size"], _etag(found))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _below(self, folder: str) -> Iterator[Entry]:
        try:
            infos = self._files.ls(folder, detail=True)
        except FileNotFoundError:
            # A folder without objects is no folder, but its bucket may be one.
            if "/" in folder and self._has_bucket():
                return
            raise
        found = [
            (name + "/" * (info["type"] == "directory"), info["size"] or 0, _etag(info))
            for info in infos
            if (name := info["name"].strip("/")) != folder
        ]
        for name, size, etag in sorted(found):
            if name.endswith("/"):
                yield from self._below(name[:-1])
            else:
                yield Entry(name[len(self.url.path) + 1 :], size, etag)

    def _has_bucket(self) -> bool:
        try:
            self._files.info(self.url.path.partition("/")[0])
        except FileNotFoundError:
            return False
        # Who may not look at a bucket may still be allowed to use it.
        except Exception:  # noqa: BLE001 - each provider's library has its own
            return True
        return True


def _unreachable(url: Url, undone: str, error: StorageError) -> str:
    return (
        f"{url} could not be {undone}: {error}; check the URL, the credentials, the region and the"
        " endpoint."
    )


def _etag(info: dict[str, Any]) -> str:
    # Google and Azure tell an MD5 beside an ETag that changes with each upload.
    if md5 := info.get("md5Hash"):
        return base64.b64decode(md5).hex()
    if md5 := info.get("content_settings", {}).get("content_md5"):
        return bytes(md5).hex()
    return str(info.get("ETag") or info.get("etag") or "").strip('"')


def _file_system(scheme: str) -> Any:
    package = _PACKAGES[scheme]
    if importlib.util.find_spec(package) is None or importlib.util.find_spec("fsspec") is None:
        wanted = "'colorpipe[cloud]'" if package in _IN_EXTRA else package
        raise ColorpipeError(
            f"URLs that begin with {scheme}:// need the package {package}, which is not installed;"
            f" install it with: pip install {wanted}."
        )
    import fsspec

    # fsspec makes one client of a kind, which all share.
    with _errors_as_phrases():
        if scheme in WEB:
            return fsspec.filesystem(scheme, get_client=_patient_client)
        return fsspec.filesystem(scheme, use_listings_cache=False)


async def _patient_client(**options: Any) -> Any:
    """Make a client that tries again where a web server is busy, which fsspec's own does not."""
    import asyncio

    import aiohttp
    import aiohttp_retry

    options.pop("loop", None)
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=WEB_TIMEOUT)
    retries = aiohttp_retry.ExponentialRetry(
        attempts=WEB_ATTEMPTS,
        start_timeout=0.25,
        # Answers of 500 and more are tried again anyway. A server that is not there is not.
        exceptions={aiohttp.ServerConnectionError, asyncio.TimeoutError},
    )
    return aiohttp_retry.RetryClient(retry_options=retries, timeout=timeout, **options)


@contextlib.contextmanager
def _errors_as_phrases() -> Iterator[None]:
    try:
        yield
    except (StorageError, ColorpipeError):
        raise
    # Each provider's library has its own.
    except Exception as error:
        # Botocore, aiohttp and Azure have classes that are not Python's own.
        names = {base.__name__ for base in type(error).__mro__}
        nobody = {"ConnectionError", "ClientConnectionError", "ServiceRequestError"}
        kind = StorageError if names.isdisjoint(nobody) else UnreachableError
        raise kind(_phrase(error)) from error


def _phrase(error: Exception) -> str:
    """Say what went wrong, without the credentials that a URL in it may have."""
    from fsspec.exceptions import FSTimeoutError

    if isinstance(error, FSTimeoutError):
        return "it does not answer"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # Azure's has numbers of the request and XML in further lines.
    text = said.strip().partition("\n")[0].strip().rstrip(".")
    text = _QUERY.sub(r"\1", _USER_INFO.sub("//", text))
    if isinstance(error, FileNotFoundError):
        return f"it does not exist ({text})"
    if isinstance(error, PermissionError):
        return f"there is no permission ({text})"
    return text or type(error).__name__


def transfer(
    function: Callable[[T], R],
    items: Iterable[T],
    pool: ThreadPoolExecutor,
    size: Callable[[T], int] = lambda _: 0,
) -> Iterator[tuple[T, R | StorageError | OSError]]:
    """Apply ``function`` by a pool of threads; yield each item with its result or its error.

    ``items`` is read only a bounded number ahead, and the order stays.

    Args:
        function: reads or writes.
        items: may be endless.
        pool: of :data:`TRANSFERS` threads.
        size: bytes of an item, of which :data:`TRANSFER_BYTES` are under way.
    """
    pending: deque[tuple[T, Future[R]]] = deque()
    under_way = 0

    def first() -> tuple[T, R | StorageError | OSError]:
        nonlocal under_way
        item, future = pending.popleft()
        under_way -= size(item)
        try:
            return item, future.result()
        except (StorageError, OSError) as error:
            return item, error

    try:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            under_way += size(item)
            while len(pending) >= 2 * TRANSFERS or (pending and under_way > TRANSFER_BYTES):
                yield first()
        while pending:
            yield first()
    finally:
        for _, future in pending:
            future.cancel()
