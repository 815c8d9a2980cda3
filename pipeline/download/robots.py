"""What the owner of a host forbids: robots.txt (RFC 9309) and the header X-Robots-Tag."""

from __future__ import annotations

import re
from collections.abc import Iterable

from protego import Protego

ROBOTS_BYTES = 500 * 1024
"""How much of a robots.txt is read: the least that RFC 9309, section 2.5, allows."""

_NO_AI = frozenset({"noai", "noimageai"})
# developers.google.com/search/docs/crawling-indexing/robots-meta-tag ("Valid indexing and serving
# rules"): directives with a value behind a colon, where otherwise a crawler's name would stand.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_BOT = re.compile(r"\*|(?=[\d._-]*[a-z])[\w.-]+")
"""A crawler's name, but no piece of a date: "25 Jun 2030 15" has blanks, "15" has no letter."""


class RobotsRules:
    """The rules of one origin.

    Args:
        content: the bytes of its robots.txt.
    """

    def __init__(self, content: bytes) -> None:
        # Editors on Windows begin a file with a byte order mark, which would hide its first line.
        text = content[:ROBOTS_BYTES].decode("utf-8-sig", "replace")
        self._rules = Protego.parse(text)

    def allow(self, url: str, user_agent: str) -> bool:
        """Whether ``user_agent`` may fetch ``url``; only its product token counts."""
        return bool(self._rules.can_fetch(url, product_token(user_agent)))


def product_token(user_agent: str) -> str:
    """Return the name of a crawler in robots.txt and X-Robots-Tag: what precedes the version."""
    return re.split("[/ ]", user_agent.strip(), maxsplit=1)[0].lower()


def forbids_ai(headers: Iterable[str], user_agent: str) -> bool:
    """Whether X-Robots-Tag ``headers`` say ``noai`` or ``noimageai`` to everyone or to us.

    A header has directives with commas between them, some with a value behind a colon. After a
    crawler's name, as in ``otherbot: noai``, the rest of the header is for that crawler only.
    """
    addressed = {product_token(user_agent), "*"}
    for header in headers:
        for_us = True
        for part in header.lower().split(","):
            before, colon, rest = (piece.strip() for piece in part.partition(":"))
            directive, bot = before, before.partition("/")[0]
            if colon and before not in _VALUED | _NO_AI and _BOT.fullmatch(bot):
                for_us = bot in addressed
                directive = rest
            if for_us and directive in _NO_AI:
                return True
    return False
