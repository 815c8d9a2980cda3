"""A film's tags: those that are true of the new film too, and how MP4 holds them."""

from __future__ import annotations

import io

import av
from av.stream import Stream

from pipeline.video.reading import Film

_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands"}
_OF_THE_STREAM = {"encoder", "duration", "number_of_frames", "number_of_bytes", "bps"}
"""Tags, in lower case, that describe how the old file was written: they would be wrong."""


def tags_of(film: Film) -> dict[str, str]:
    """Return the tags of a film that are true of the new one too."""
    return _kept(film.container.metadata, _OF_THE_FILE)


def tags_of_stream(stream: Stream) -> dict[str, str]:
    """Return the tags of a stream that are true of a copy too."""
    return _kept(stream.metadata, _OF_THE_STREAM)


def labeled(tags: dict[str, str], label: str) -> dict[str, str]:
    """Add ``label`` to the comment."""
    comment = {key.lower(): value for key, value in tags.items()}.get("comment", "")
    return {**tags, "comment": f"{comment}; {label}" if comment else label}


def options_for(form: str, tags: dict[str, str]) -> dict[str, str]:
    """Return the options for FFmpeg's writer ``form`` of a film that is to have ``tags``."""
    if form not in {"mp4", "mov"}:
        return {}
    # The index of an MP4 before its pictures: a player on the web starts at once.
    options = {"movflags": "+faststart"}
    head = io.BytesIO()
    with av.open(head, "w", format=form) as container:
        container.add_stream("mpeg4")
        container.metadata.update(tags)
        container.start_encoding()
    head.seek(0)
    with av.open(head) as container:
        kept = {key.lower() for key in container.metadata}
    # Cameras' own tags, such as com.apple.quicktime.make: FFmpeg has another way for all tags where
    # these are among them. iTunes reads no title that is written so.
    if any(key.lower() not in kept for key in tags):
        options["movflags"] += "+use_metadata_tags"
    return options


def _kept(tags: dict[str, str], but: set[str]) -> dict[str, str]:
    """Leave out ``but``, also with a language behind: "BPS-eng" is mkvmerge's."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower().partition("-")[0] not in but and not key.startswith("_STATISTICS")
    }
