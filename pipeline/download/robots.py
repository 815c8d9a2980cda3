"""What a host's owner does not want taken: robots.txt (RFC 9309) and X-Robots-Tag."""

from __future__ import annotations

import re
from collections.abc import Iterable

from protego import Protego

ROBOTS_BYTES = 500 * 1024
"""Of a robots.txt at least this much must be read (RFC 9309, section 2.5); no more is."""

_NO_AI = frozenset({"noai", "noimageai"})
# developers.google.com/search/docs/crawling-indexing/robots-meta-tag ("Valid indexing and serving
# rules"): what else may stand in front of a colon.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_BOT = re.compile(r"\*|(?=[\d._-]*[a-z])[\w.-]+")
"""A crawler's name, rather than a piece of a date: "25 Jun 2030 15" has blanks, "15" no letter."""


class RobotsRules:
    """The rules of one origin.

    Args:
        content: the bytes of its robots.txt; None forbids everything, as for a host that cannot
            tell its rules (RFC 9309, section 2.3.1.4).
    """

    def __init__(self, content: bytes | None) -> None:
        self._rules = None
        if content is not None:
            self._rules = Protego.parse(content[:ROBOTS_BYTES].decode("utf-8", "replace"))

    def allow(self, url: str, user_agent: str) -> bool:
        """Whether ``user_agent`` may ask for ``url``; only its product token counts."""
        return self._rules is not None and self._rules.can_fetch(url, product_token(user_agent))


def product_token(user_agent: str) -> str:
    """The name that robots.txt and X-Robots-Tag know a crawler by: before the version."""
    return re.split("[/ ]", user_agent.strip(), maxsplit=1)[0].lower()


def forbids_ai(headers: Iterable[str], user_agent: str) -> bool:
    """Whether X-Robots-Tag ``headers`` say ``noai`` or ``noimageai`` to everyone or to us.

    A header has directives with commas between them, some with a value behind a colon. One that is
    addressed, ``otherbot: noai``, and those behind it in the same header are for that bot alone.
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
