"""Where photos are: a path on this computer, or a URL of object storage or of a web server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pipeline.errors import ColorpipeError

OBJECT_STORAGE = ("s3", "gs", "az")
"""Schemes that can be listed and written to: Amazon's and alike, Google's and Azure's."""
WEB = ("http", "https")
"""Schemes of single files, to read."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


@dataclass(frozen=True)
class Url:
    """An object, or a folder of objects whose names begin with it.

    As text it has no query: that of a presigned URL is a credential.
    """

    scheme: str
    path: str
    """Bucket and key, or host and path, without slashes at the ends."""
    query: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def __truediv__(self, name: str) -> Url:
        return Url(self.scheme, "/".join(filter(None, (self.path, name))), self.query)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Url:
        """What the last part lies in; of a bucket that is nothing but the scheme."""
        return Url(self.scheme, self.path.rpartition("/")[0])

    def holds(self, other: Location) -> bool:
        """Whether ``other`` is this, or lies below it."""
        return isinstance(other, Url) and (
            (self.scheme, self.path) == (other.scheme, other.path)
            or str(other).startswith(f"{self}/")
        )


Location: TypeAlias = Path | Url


def parse_location(text: str | Location) -> Location:
    """Read a path or a URL.

    Raises:
        ColorpipeError: the text is empty; or the URL has a scheme that is not known, no bucket or
            host, or a user name or password, which the sentence does not repeat.
    """
    if not isinstance(text, str):
        return text
    if not text:
        # Of a variable in a script that is not set. As a path it would be the current folder.
        raise ColorpipeError("A path is empty; name a file or a folder, or '.' for this folder.")
    if not (found := _SCHEME.match(text)):
        return Path(text)
    scheme = found[1].lower()
    rest = text[found.end() :]
    if "@" in rest.partition("/")[0]:
        raise ColorpipeError(
            f"A URL {scheme}://... with a user name or password in it is refused; leave them out,"
            " and give credentials as the provider's own tools read them: by environment variables"
            " or profile files."
        )
    known = (*OBJECT_STORAGE, *WEB)
    if scheme not in known:
        raise ColorpipeError(
            f"URLs that begin with {scheme}:// cannot be read; give a path, or a URL that begins"
            f" with one of {', '.join(f'{each}://' for each in known)}."
        )
    query = ""
    if scheme in WEB:
        rest, _, query = rest.partition("#")[0].partition("?")
    url = Url(scheme, rest.strip("/"), query)
    if not url.path or rest.startswith("/"):
        raise ColorpipeError(f"The URL '{url}' names no bucket or host, as {scheme}://photos does.")
    return url
