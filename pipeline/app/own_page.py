"""A page for this computer alone: pages of other sites, in the same browser, get nothing of it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def own_page_only(names: Collection[str]) -> Middleware:
    """Return what refuses requests of other sites' pages, and what comes under other names.

    A site may send a form here, and may let its own name lead to this computer.

    Args:
        names: the hosts that this computer has for itself.
    """
    return Middleware(_OwnPageOnly, names)


class _OwnPageOnly:
    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            own = f"//{headers.get('host', '')}"
            if not all(self._is_own(address) for address in (own, headers.get("origin", own))):
                app = PlainTextResponse(
                    "This page is for this computer alone: open it as localhost, or name the"
                    " address to serve it at with --host.\n",
                    status_code=403,
                )
        await app(scope, receive, send)

    def _is_own(self, address: str) -> bool:
        try:
            return urllib.parse.urlsplit(address).hostname in self._names
        except ValueError:
            return False
