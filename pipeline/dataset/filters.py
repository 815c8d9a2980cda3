"""One raw photo: is it fit to learn colors from, and what has to be changed in it?

Each page of a document is a photo of its own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.dataset.hashing import checksum, perceptual_hash
from pipeline.dataset.quality import WORKING_SIDE, Measures, gray_of, measure, working_copy
from pipeline.files.names import numbered
from pipeline.imaging.decode import (
    EXTENSIONS,
    SUFFIX_FORMATS,
    AccessError,
    Document,
    ImageError,
    Photo,
    open_document,
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
"""Reasons for dropping a photo; the first that applies is given."""

JPEG_QUALITY = 95
"""Of a JPEG that had to be changed; its chroma is then no longer subsampled."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file to screen, and where its photo goes."""

    path: str
    category: str
    file: str
    """Path inside the category's folder, with slashes."""
    stem: str
    """Of the clean photo's name; no other file of the category has the same."""
    page_stem: str = ""
    """Of the names of a document's pages, which have their numbers behind it."""
    misplaced: bool = False


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A row of ``reports/clean.csv``: one raw photo, what was measured and what was decided."""

    category: str
    file: str
    """Path of the raw file inside its category's folder."""
    decision: str
    reason: str
    """Of a dropped photo: one of the reasons above."""
    detail: str
    """The measured value beside its threshold, what was changed, or what the decoder said."""
    duplicate_of: str = ""
    """Of a duplicate: the :attr:`label` of the one that is kept in its place."""
    name: str = ""
    """File name in ``data/clean/<category>``; empty when dropped."""
    format: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    page: int = 0
    """Of a document, which page this is, from 1; 0 for a file of one picture."""
    bytes: int = 0
    """Of the file."""
    chroma: float = 0
    chroma_spread: float = 0
    contrast: float = 0
    shadow: float = 0
    highlight: float = 0
    sharpness: float = 0
    flatness: float = 0

    @property
    def label(self) -> str:
        """Category and file, and a page's number as in links to PDF documents (RFC 8118)."""
        page = f"#page={self.page}" if self.page else ""
        return f"{self.category}/{self.file}{page}"


@dataclass(frozen=True, slots=True)
class Screened:
    """What :func:`screen` found out."""

    row: CleanRow
    hash: int = 0
    """:func:`perceptual_hash` of a photo that passed."""
    checksum: int = 0
    """:func:`checksum` of the pixels of a photo that passed."""
    failed: bool = False
    """Whether the file could not be read, so that nothing is known of the photo in it."""


@dataclass(frozen=True)
class _Decision:
    """The fields of :class:`CleanRow` that say what became of a photo."""

    decision: str
    reason: str
    detail: str
    name: str = ""


def screen(raw: RawFile, folder: Path | None, params: CleanParams) -> list[Screened]:
    """Decode and measure one raw file, decide on it, and write its photo if it is fit.

    Args:
        raw: the file.
        folder: where the clean photo goes, as ``<category>/<name>``; None writes nothing.
        params: the thresholds.

    Returns:
        One for each page of a document; of any other file, a single one.
    """
    if raw.misplaced:
        return [Screened(CleanRow(raw.category, raw.file, DROPPED, MISPLACED, ""))]
    try:
        data = read_bytes(raw.path)
        document = open_document(data, params.max_pixels, WORKING_SIDE, strict=True)
    except ImageError as error:
        row = CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, str(error))
        return [Screened(row, failed=isinstance(error, AccessError))]
    numbers = range(1, document.pages + 1) if document.pages > 1 else range(1)
    work = functools.partial(_screen_photo, raw, document, data, folder=folder, params=params)
    return [work(page=number) for number in numbers]


def _screen_photo(
    raw: RawFile,
    document: Document,
    data: bytes,
    *,
    page: int,
    folder: Path | None,
    params: CleanParams,
) -> Screened:
    """Screen a page, from 1; 0 is the only picture of a photo."""
    try:
        photo = document.read(max(page - 1, 0))
        small = working_copy(photo.pixels)
        gray = gray_of(small)
        measures = measure(small, gray)
        decision = _reject(photo, measures, params) or _accept(
            raw, page, photo, data, folder=folder, max_pixels=params.max_pixels
        )
    except ImageError as error:
        return Screened(
            CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, str(error), page=page)
        )
    width, height = photo.size
    row = CleanRow(
        raw.category,
        raw.file,
        decision.decision,
        decision.reason,
        decision.detail,
        name=decision.name,
        format=photo.format,
        width=width,
        height=height,
        frames=photo.frames,
        page=page,
        bytes=len(data),
        chroma=round(measures.chroma, 4),
        chroma_spread=round(measures.chroma_spread, 4),
        contrast=measures.contrast,
        shadow=measures.shadow,
        highlight=measures.highlight,
        sharpness=round(measures.sharpness, 4),
        flatness=round(measures.flatness, 4),
    )
    if decision.decision == DROPPED:
        return Screened(row)
    return Screened(row, perceptual_hash(gray), checksum(photo.pixels))


def _reject(photo: Photo, measures: Measures, params: CleanParams) -> _Decision | None:
    """Say why a photo is dropped; None when it is fit. A threshold of None is not checked."""
    if photo.frames > 1 and params.animated == "drop":
        return _Decision(DROPPED, ANIMATED, f"{photo.frames} frames")
    p, m = params, measures
    shorter, longer = sorted(photo.size)
    checks = (
        (TOO_SMALL, "shorter side", shorter, "under", p.min_side),
        (ELONGATED, "aspect ratio", longer / shorter, "over", p.max_aspect),
        (TOO_DARK, "highlight", m.highlight, "under", p.min_highlight),
        (TOO_LIGHT, "shadow", m.shadow, "over", p.max_shadow),
        (BLANK, "contrast", m.contrast, "under", p.min_contrast),
        (DRAWING, "flatness", m.flatness, "over", p.max_flatness),
        (GRAY, "chroma spread", m.chroma_spread, "under", p.min_chroma_spread),
        (BLURRED, "sharpness", m.sharpness, "under", p.min_sharpness),
    )
    for reason, what, value, side, limit in checks:
        if limit is not None and (value < limit if side == "under" else value > limit):
            return _Decision(DROPPED, reason, f"{what} {value:.4g} is {side} {limit:g}")
    return None


def _accept(
    raw: RawFile, page: int, photo: Photo, data: bytes, *, folder: Path | None, max_pixels: int
) -> _Decision:
    """Write a photo that is fit, as it was found if possible.

    Raises:
        ImageError: whole, to be turned for example, it needs more memory than there is.
    """
    changes = list(photo.changes)
    if page:
        changes.append(f"page {page} of {photo.pages}")
    if photo.frames > 1:
        changes.append(f"first of {photo.frames} frames")
    # A lossy format stays lossy; one that is not, or may be either (WebP), becomes PNG.
    format_ = photo.format if not changes or photo.format == "JPEG" else "PNG"
    name = (numbered(raw.page_stem, page) if page else raw.stem) + EXTENSIONS[format_]
    if folder is not None:
        target = folder / raw.category / name
        if not changes:
            target.write_bytes(data)
        else:
            image = _whole(photo, page, data, max_pixels).image
            if format_ == "JPEG":
                image.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
            else:
                image.save(target, "PNG")
    decision = CONVERTED if changes else KEPT
    if SUFFIX_FORMATS.get(PurePath(raw.file).suffix.lower()) != photo.format:
        changes.append(f"content is {photo.format}")
    return _Decision(decision, "", "; ".join(changes), name)


def _whole(photo: Photo, page: int, data: bytes, max_pixels: int) -> Photo:
    """Decode a photo again for writing, unless that would find the same page of a document."""
    if page and photo.pixels.shape[1::-1] == photo.size:
        return photo
    return open_photo(data, max_pixels, page=max(page - 1, 0))
