"""What a host's owner does not want taken: robots.txt (RFC 9309) and X-Robots-Tag."""

from __future__ import annotations

import re
from collections.abc import Iterable

from protego import Protego

ROBOTS_BYTES = 500 * 1024
"""Of a robots.txt at least this much must be read (RFC 9309, section 2.5); no more is."""

_NO_AI = frozenset({"noai", "noimageai"})


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
    return re.split("[/ ]", user_agent, maxsplit=1)[0].lower()


def forbids_ai(headers: Iterable[str], user_agent: str) -> bool:
    """Whether X-Robots-Tag ``headers`` say ``noai`` or ``noimageai`` to everyone or to us.

    A directive may be addressed: ``otherbot: noai``. One addressed to others does not count.
    """
    for header in headers:
        agent, colon, rest = header.partition(":")
        if colon and agent.strip().lower() not in {product_token(user_agent), "*"}:
            # "noarchive, unavailable_after: 25 Jun" has a colon and is addressed to everyone.
            if "," not in agent and not agent.strip().lower().startswith("unavailable_after"):
                continue
            rest = header
        directives = {part.strip().lower() for part in (rest if colon else header).split(",")}
        if directives & _NO_AI:
            return True
    return False
