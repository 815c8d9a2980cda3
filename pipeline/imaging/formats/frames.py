"""Animations in the formats that Pillow writes, each frame colored with its tones given back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Literal

from PIL import Image

from pipeline.imaging.formats.exif import HEAD
from pipeline.imaging.formats.page import Colored, Metadata, PhotoFile
from pipeline.imaging.gray_photo import displayed


def write(
    file: PhotoFile,
    pages: Iterable[Colored],
    format_: Literal["WEBP", "PNG"],
    chunked: Callable[[bytes, Metadata, object], bytes] | None = None,
) -> bytes:
    """Write an animation, lossless, with its times and loops; frames are upright and in sRGB.

    Args:
        file: the animation that was opened.
        pages: its frames.
        format_: what to write.
        chunked: puts what stood beside the pixels into the file; None lets Pillow do it.
    """
    first: Metadata | None = None
    own: object = None
    images: list[Image.Image] = []
    times: list[int] = []
    for page, tint in pages:
        if first is None:
            first, own = page.metadata, page.own
        images.append(Image.fromarray(displayed(page.photo, tint)))
        times.append(page.milliseconds)
    modes = {image.mode for image in images}
    if len(modes) > 1:
        images = [image.convert("RGBA") for image in images]
    metadata = first or Metadata()
    options: dict[str, object] = {}
    if format_ == "WEBP":
        options = {
            "lossless": True,
            "quality": 20,
            "exact": True,
            "exif": HEAD + metadata.exif if metadata.exif else b"",
            "xmp": metadata.xmp or b"",
        }
    stream = io.BytesIO()
    images[0].save(
        stream,
        format_,
        save_all=True,
        append_images=images[1:],
        duration=times,
        loop=file.loops,
        **options,
    )
    data = stream.getvalue()
    return chunked(data, metadata, own) if chunked else data
