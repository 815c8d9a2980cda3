"""Why a photo was not kept, in the words of ``refused.csv`` and of the table after a scrape."""

from __future__ import annotations

NOT_AN_IMAGE = "not an image"
TOO_LARGE = "too large"
DUPLICATE = "duplicate"

MALFORMED = "malformed URL"
SCHEME = "neither http nor https"
PRIVATE = "address is not public"
UNREACHABLE = "host not reachable"
TIMED_OUT = "timed out"
CUT_OFF = "cut off"
HTTP_ERROR = "HTTP error"
REDIRECTS = "too many redirects"
GIVEN_UP = "host given up"
UNEXPECTED = "unexpected error"
"""Of a program's own: its type stands beside it, and it is worth a report."""
ROBOTS = "robots.txt forbids it"
NO_AI = "noai header"

LINK = "link in the archive"
"""Of an archive's member: a symbolic or hard link, or a device."""
DAMAGED = "damaged"
