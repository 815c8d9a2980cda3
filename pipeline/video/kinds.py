"""Which files are films by their names, and what each is written as."""

from __future__ import annotations

from pipeline.video.settings import CodecName

_WRITTEN = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".m2ts")
# Matroska holds whatever streams these have, and the times that AVI has no place for.
_READ_ONLY = (
    ".avi",
    ".mpg",
    ".mpeg",
    ".vob",
    ".wmv",
    ".asf",
    ".flv",
    ".ogv",
    ".3gp",
    ".mts",
    ".mxf",
)

WRITTEN_AS = {suffix: suffix for suffix in _WRITTEN} | dict.fromkeys(_READ_ONLY, ".mkv")
"""For each extension that is read, in lower case, the one of the film that is written."""
READ = ", ".join(sorted(WRITTEN_AS))
WRITTEN = ", ".join(sorted(_WRITTEN))
"""The extensions that are read and those that are written, as a sentence names them."""


def default_codec(suffix: str) -> CodecName:
    """Return what a film is encoded by unless something else is asked for."""
    return "libvpx-vp9" if suffix == ".webm" else "libx264"
