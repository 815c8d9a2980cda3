"""One raw photo: is it fit to learn colors from, and what has to be done to it?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from zlib_ng import zlib_ng

from pipeline.dataset.hashing import perceptual_hash
from pipeline.dataset.quality import WORKING_SIDE, Measures, gray_of, measure, working_copy
from pipeline.dataset.squares import Ahead
from pipeline.imaging.decode import (
    EXTENSIONS,
    SUFFIX_FORMATS,
    AccessError,
    ImageError,
    Photo,
    open_photo,
    read_bytes,
)
from pipeline.params import CleanParams

KEPT, CONVERTED, DROPPED = "kept", "converted", "dropped"
"""Decisions: the bytes are copied; the pixels had to be changed; not used."""

UNREADABLE = "unreadable"
MISPLACED = "not in a category's folder"
ANIMATED = "animated"
TOO_SMALL = "too small"
ELONGATED = "too elongated"
TOO_DARK = "too dark"
TOO_LIGHT = "too light"
BLANK = "blank"
DRAWING = "drawing"
GRAY = "gray or tinted"
BLURRED = "blurred"
DUPLICATE = "duplicate"
NEAR_DUPLICATE = "near duplicate"
"""Reasons for dropping; the first that applies is given."""

JPEG_QUALITY = 95
"""Of a JPEG that had to be changed; its chroma is then no longer subsampled."""


@dataclass(frozen=True)
class CleanRow:
    """A row of ``reports/clean.csv``: one raw file, what was measured and what was decided."""

    category: str
    file: str
    """Path of the raw file inside its category's folder."""
    decision: str
    reason: str
    """Of a dropped photo: one of the reasons above."""
    detail: str
    """The measured value beside its threshold, what was changed, or what the decoder said."""
    duplicate_of: str = ""
    """Of a duplicate: category and name of the raw file that stays in its place."""
    name: str = ""
    """File name in ``data/clean/<category>``; empty when dropped."""
    format: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    bytes: int = 0
    chroma: float = 0
    chroma_spread: float = 0
    contrast: float = 0
    shadow: float = 0
    highlight: float = 0
    sharpness: float = 0
    flatness: float = 0


@dataclass(frozen=True)
class Screened:
    """What :func:`screen` found out; the hashes are there for a photo that passed."""

    row: CleanRow
    perceptual: int = 0
    pixels: int = 0
    """64 bits of hashes of the pixels: equal for equal ones, and hardly ever for others."""
    failed: bool = False
    """Whether the file could not be read: nothing is known of the photo in it."""


@dataclass(frozen=True)
class RawFile:
    """A file to screen, and where its photo goes."""

    path: str
    category: str
    file: str
    stem: str
    """Of the clean photo's name; no other file of the category has the same."""
    number: int
    """Its place in the listing, from 0."""
    misplaced: bool = False


@dataclass(frozen=True)
class _Decided:
    """The fields of :class:`CleanRow` that say what became of a photo."""

    decision: str
    reason: str
    detail: str
    name: str = ""


def screen(
    raw: RawFile, folder: Path | None, params: CleanParams, ahead: Ahead | None = None
) -> Screened:
    """Decode, measure and judge one raw file, and write its photo if it is fit.

    Args:
        raw: the file.
        folder: where the clean photo goes, as ``<category>/<name>``; None writes nothing.
        params: the thresholds.
        ahead: where the photo's square is made ahead; None makes none.
    """
    if raw.misplaced:
        return Screened(CleanRow(raw.category, raw.file, DROPPED, MISPLACED, ""))
    try:
        data = read_bytes(raw.path)
        photo = open_photo(data, params.max_pixels, at_least=WORKING_SIDE, strict=True)
    except ImageError as error:
        row = CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, str(error))
        return Screened(row, failed=isinstance(error, AccessError))
    pixels = photo.pixels
    small = working_copy(pixels)
    gray = gray_of(small)
    measures = measure(small, gray)
    width, height = photo.size
    if problem := _problem(photo, measures, params):
        decided = _Decided(DROPPED, *problem)
    else:
        try:
            decided = _accept(raw, photo, data, folder=folder, max_pixels=params.max_pixels)
        # Whole, to be turned for example, it may need more memory than there is.
        except ImageError as error:
            return Screened(CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, str(error)))
        if ahead is not None and raw.number < ahead.room and decided.decision == KEPT:
            ahead.keep(f"{folder}/{raw.category}/{decided.name}", data, photo)
    row = CleanRow(
        raw.category,
        raw.file,
        decided.decision,
        decided.reason,
        decided.detail,
        name=decided.name,
        format=photo.format,
        width=width,
        height=height,
        frames=photo.frames,
        bytes=len(data),
        chroma=round(measures.chroma, 4),
        chroma_spread=round(measures.chroma_spread, 4),
        contrast=measures.contrast,
        shadow=measures.shadow,
        highlight=measures.highlight,
        sharpness=round(measures.sharpness, 4),
        flatness=round(measures.flatness, 4),
    )
    if problem:
        return Screened(row)
    perceptual = perceptual_hash(gray)
    return Screened(row, perceptual, _fingerprint(photo, perceptual))


def _fingerprint(photo: Photo, perceptual: int) -> int:
    """Return 64 bits by which photos of the same pixels are known.

    Half of them from the perceptual hash: photos that differ in more than details differ there. The
    other half is a checksum of every pixel, which one in 2^32 of the photos that look the same will
    share by chance.
    """
    start = zlib_ng.crc32(repr(photo.size).encode())
    exact = zlib_ng.crc32(np.ascontiguousarray(photo.pixels).data, start)
    return exact << 32 | (perceptual ^ perceptual >> 32) & 0xFFFFFFFF


def _problem(photo: Photo, measures: Measures, params: CleanParams) -> tuple[str, str] | None:
    """The reason for which a photo is dropped, and the detail; None when it is fit."""
    if photo.frames > 1 and params.animated == "drop":
        return ANIMATED, f"{photo.frames} frames"
    p, m = params, measures
    shorter, longer = sorted(photo.size)
    checks = (
        (p.drop_small, TOO_SMALL, "shorter side", shorter, "under", p.min_side),
        (p.drop_elongated, ELONGATED, "aspect ratio", longer / shorter, "over", p.max_aspect),
        (p.drop_dark, TOO_DARK, "highlight", m.highlight, "under", p.min_highlight),
        (p.drop_light, TOO_LIGHT, "shadow", m.shadow, "over", p.max_shadow),
        (p.drop_blank, BLANK, "contrast", m.contrast, "under", p.min_contrast),
        (p.drop_drawings, DRAWING, "flatness", m.flatness, "over", p.max_flatness),
        (p.drop_gray, GRAY, "chroma spread", m.chroma_spread, "under", p.min_chroma_spread),
        (p.drop_blurred, BLURRED, "sharpness", m.sharpness, "under", p.min_sharpness),
    )
    for asked, reason, what, value, side, limit in checks:
        if asked and (value < limit if side == "under" else value > limit):
            return reason, f"{what} {value:.4g} is {side} {limit:g}"
    return None


def _accept(
    raw: RawFile, photo: Photo, data: bytes, *, folder: Path | None, max_pixels: int
) -> _Decided:
    """Write a photo that is fit, as it was found if possible."""
    changes = list(photo.changes)
    if photo.pages > 1:
        changes.append(f"first of {photo.pages} pages")
    if photo.frames > 1:
        changes.append(f"first of {photo.frames} frames")
    # What was lossy stays so; what was not, or cannot say so (WebP), becomes PNG.
    format_ = photo.format if not changes or photo.format == "JPEG" else "PNG"
    extension = EXTENSIONS[format_]
    name = raw.stem + extension
    if folder is not None:
        target = f"{folder}/{raw.category}/{name}"
        if not changes:
            Path(target).write_bytes(data)
        else:
            image = open_photo(data, max_pixels).image
            if format_ == "JPEG":
                image.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
            else:
                image.save(target, "PNG")
    decision = CONVERTED if changes else KEPT
    if SUFFIX_FORMATS.get(PurePath(raw.file).suffix.lower()) != photo.format:
        changes.append(f"in truth {photo.format}")
    return _Decided(decision, "", "; ".join(changes), name)
