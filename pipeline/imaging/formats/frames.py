"""Animations in the formats that Pillow writes, each frame colored with its tones given back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from PIL import Image

from pipeline.imaging.formats.page import Colored, Metadata, Page, PhotoFile
from pipeline.imaging.formats.pillow_file import beside_pixels
from pipeline.imaging.gray_photo import render


def write(
    file: PhotoFile,
    pages: Iterable[Colored],
    format_: Literal["WEBP", "PNG"],
    chunked: Callable[[bytes, Metadata, object], bytes] | None = None,
    **options: object,
) -> bytes:
    """Write an animation of 8 bits with its times and loops; frames stay turned as they are stored.

    What is shown where animations are not, APNG alone has a place for.

    Args:
        file: the animation that was opened.
        pages: its frames.
        format_: what to write.
        chunked: puts what stood beside the pixels into the file; None lets Pillow do it.
        options: of Pillow's writer.
    """
    first: Page | None = None
    images: list[Image.Image] = []
    times: list[int] = []
    for page, tint in pages:
        first = first or page
        pixels = render(page.photo.in_8_bits(), tint)
        images.append(Image.fromarray(np.asarray(pixels, np.uint8)))
        times.append(page.milliseconds)
    assert first is not None
    if len({image.mode for image in images}) > 1:
        images = [image.convert("RGBA") for image in images]
    if file.has_poster:
        times = times[1:]
        if format_ == "PNG":
            options["default_image"] = True
        else:
            images = images[1:]
    if chunked is None:
        options |= beside_pixels(first.metadata)
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
    return chunked(data, first.metadata, first.own) if chunked else data
