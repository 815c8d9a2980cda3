"""Frames of two moments, as television had them, made frames of one: FFmpeg's filter bwdif."""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
from av.filter import Graph

from pipeline.video.errors import FilmError


def deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield as many frames as there are, at the same times, without the comb of two moments.

    Every other line is made new from the lines and frames around it, whether or not the film says
    that it is interlaced: many that are do not.

    Raises:
        FilmError: FFmpeg refuses frames of this size or format.
    """
    first = next(frames, None)
    if first is None:
        return
    graph = Graph()
    source = graph.add_buffer(
        width=first.width,
        height=first.height,
        format=first.format,
        time_base=first.time_base,
    )
    graph.link_nodes(
        source,
        graph.add("bwdif", "mode=send_frame:deint=all"),
        graph.add("settb", "expr=intb*2"),  # bwdif counts in half ticks
        graph.add("buffersink"),
    )
    try:
        graph.configure()
    except av.error.FFmpegError as error:
        raise FilmError(
            f"--deinterlace does not take pictures of {first.width} x {first.height}"
            f" ({first.format.name}); leave it out"
        ) from error

    def pulled() -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            # Nothing is ready: the filter looks a frame ahead.
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame

    graph.vpush(first)
    yield from pulled()
    for frame in frames:
        alike = (frame.width, frame.height, frame.format.name) == (
            first.width,
            first.height,
            first.format.name,
        )
        graph.vpush(
            frame if alike else frame.reformat(first.width, first.height, first.format.name)
        )
        yield from pulled()
    graph.vpush(None)
    yield from pulled()
