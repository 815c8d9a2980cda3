"""GIF: a photo's tones within one level, and as many of its colors as 256 entries leave room for.

General quantizers spend the palette on colors and lose tones by tens of levels. Here every entry
belongs to a run of at most three levels of gray and has exactly the middle one's luma; the entries
left over go to the runs whose colors vary most.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging import color
from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.imaging.formats.page import Colored, PhotoFile
from pipeline.imaging.gray_photo import displayed

_ENTRIES = 255
"""One of the 256 is kept for what is transparent."""
_TRANSPARENT = 255
_OPAQUE_FROM = 128
"""GIF knows no half transparency: from this alpha on a pixel is opaque."""


def write(file: PhotoFile, pages: Iterable[Colored]) -> bytes:
    """Write a GIF, or an animation with its times and loops; upright and in sRGB."""
    images: list[Image.Image] = []
    times: list[int] = []
    comment = b""
    for page, tint in pages:
        pixels = np.asarray(displayed(page.photo, tint), np.uint8)
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
        rgb = np.ascontiguousarray(pixels[..., :3])
        images.append(quantized(color.luma(rgb), alpha, color.differences_of(rgb)))
        times.append(page.milliseconds)
        comment = comment or page.metadata.comment or b""
    if file.has_poster:
        images, times = images[1:], times[1:]
    options: dict[str, object] = {"comment": comment[:_COMMENT]} if comment else {}
    if any("transparency" in image.info for image in images):
        options["transparency"] = _TRANSPARENT
    if len(images) > 1:
        # Each frame stands for itself: what shows through it is what it says itself.
        options |= {"save_all": True, "append_images": images[1:], "duration": times}
        options |= {"disposal": 2} | ({"loop": file.loops} if file.loops != 1 else {})
    stream = io.BytesIO()
    images[0].save(stream, "GIF", optimize=False, **options)
    return stream.getvalue()


_COMMENT = 255
"""Bytes of a comment that every program reads: a block's."""


def quantized(gray: Gray, alpha: Gray | None, differences: Float) -> Image.Image:
    """Return an image of 256 colors.

    Args:
        gray: (H, W).
        alpha: (H, W), or None.
        differences: R - Y and B - Y (H, W, 2).
    """
    runs = _runs(gray)
    run_of_level = np.zeros(256, np.intp)
    for number, (first, last) in enumerate(runs):
        run_of_level[first : last + 1] = number
    run_of_pixel = run_of_level[gray].ravel()
    # All pixels of a run side by side.
    order = np.argsort(run_of_pixel, kind="stable")
    colors = differences.reshape(-1, 2)[order]
    bounds = np.searchsorted(run_of_pixel[order], np.arange(len(runs) + 1))
    parts = [colors[bounds[n] : bounds[n + 1]] for n in range(len(runs))]
    indices = np.empty(gray.size, np.uint8)
    palette: list[NDArray[np.uint8]] = []
    for (first, last), part, share, start in zip(
        runs, parts, _shares(parts), bounds[:-1], strict=True
    ):
        groups, means = _split(part, share)
        indices[order[start : start + len(part)]] = groups + sum(map(len, palette))
        middle = np.full((1, len(means)), (first + last + 1) // 2, np.uint8)
        palette.append(color.merge(middle, means[None])[0])
    pixels = indices.reshape(gray.shape)
    if alpha is not None:
        pixels[alpha < _OPAQUE_FROM] = _TRANSPARENT
    image = Image.fromarray(pixels, "P")
    image.putpalette(np.concatenate(palette).tobytes())
    if alpha is not None:
        image.info["transparency"] = _TRANSPARENT
    return image


def _runs(gray: Gray) -> list[tuple[int, int]]:
    """Join the levels that occur to runs of one level, or of up to three if they are over 85."""
    levels = np.flatnonzero(np.bincount(gray.ravel(), minlength=256)).tolist()
    width = 1 if len(levels) <= _ENTRIES // 3 else 3
    runs: list[tuple[int, int]] = []
    for level in levels:
        if runs and level - runs[-1][0] < width:
            runs[-1] = (runs[-1][0], level)
        else:
            runs.append((level, level))
    return runs


def _shares(parts: list[Float]) -> list[int]:
    """Give every part one entry, and the rest by the spread of its colors over its pixels."""
    spreads = np.array([np.sqrt(len(part)) * float(part.std(axis=0).max()) for part in parts])
    spare = _ENTRIES - len(parts)
    total = spreads.sum()
    more = np.floor(spreads / total * spare) if total > 0 else np.zeros(len(parts))
    return [1 + int(number) for number in more]


def _split(part: Float, share: int) -> tuple[NDArray[np.intp], Float]:
    """Cut colors (n, 2) along their longest axis into ``share`` equal groups.

    Returns:
        The group of each, and the mean color of each group.
    """
    centered = part - part.mean(axis=0)
    _, _, axes = np.linalg.svd(centered.T @ centered)
    along = np.argsort(centered @ axes[0], kind="stable")
    groups = np.empty(len(part), np.intp)
    groups[along] = np.arange(len(part)) * min(share, len(part)) // len(part)
    counts = np.bincount(groups)
    means = np.stack([np.bincount(groups, part[:, axis]) / counts for axis in (0, 1)], axis=-1)
    return groups, means.astype(np.float32)
