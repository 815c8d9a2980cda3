"""Split: divide the photos into train, validation and test, each with its gray copy.

``<side>_y`` holds the photos and ``<side>_x`` their gray versions (Rec. 601 luma), under the same
names, ``<category>-<name>.png``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from pipeline.dataset.hashing import both_hashes
from pipeline.dataset.manifest import RawPhoto
from pipeline.dataset.near_duplicates import HashedPhoto, group_alike, photos_like
from pipeline.dataset.split_assignment import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VAL,
    GroupedPhoto,
    NothingToTrainOnError,
    assign,
    check_sizes,
)
from pipeline.dataset.split_lock import LockRow, find_claims, read_lock, with_tested, write_lock
from pipeline.dataset.tiles import encode_tile
from pipeline.engines.base import KILLED, Engine
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import read_table
from pipeline.files.listing import files_in, folders_in
from pipeline.files.names import LONGEST, distinct_stems, printable, without_number
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.progress import track
from pipeline.imaging.color import luma
from pipeline.imaging.decode import ImageError, open_photo, read_bytes, reading
from pipeline.params import SplitParams

CHECKED = 4
"""Pairs of each side that are read again at the end. A fault in some pairs alone is not to be
expected, because every x is made from its y in the same way."""


@dataclass(frozen=True)
class ResizedPhoto:
    """A resized photo, and what it is called in the split."""

    path: str
    category: str
    stem: str
    name: str
    """File name of both pictures of the pair."""


@dataclass(frozen=True)
class WrittenPair:
    """A photo whose pair was written."""

    photo: HashedPhoto
    """Under the stem of the resized photo."""
    name: str
    """File name of both pictures of the pair."""


def split(
    resized: Path,
    out: Path,
    params: SplitParams,
    *,
    manifest: Path | None = None,
    lock: Path | None = None,
    engine: Engine = LOCAL,
) -> list[Failure]:
    """Write ``x`` and ``y`` of ``train``, ``test`` and, if ``val_fraction`` is not 0, ``val``.

    Args:
        resized: a folder of photos a category; only read.
        out: written whole or not at all.
        params: sizes, distance and seed.
        manifest: the table of raw photos; photos of one web page, and pages of one document, stay
            on one side. With None, or if there is no such file, neither counts.
        lock: the table of all photos that were ever tested with; it keeps the test set the same
            when photos are added. Read if it exists, and added to at the end. None does neither.
        engine: where photos are worked on; the result is the same.

    Returns:
        A failure for each photo that could not be read.

    Raises:
        ColorpipeError: there is no photo, a category has too few, or ``out`` holds files that no
            split wrote, or overlaps with what is read.
    """
    photos = list_photos(resized)
    near = [path for path in (resized, manifest, lock) if path is not None]
    check_replaceable(out, "--split", near=near, known=_is_split_name)
    rows = [] if lock is None else read_lock(lock)
    pages = _read_pages(manifest)
    # Before the work, and again behind it without what could not be read.
    check_sizes((printable(photo.category) for photo in photos), params.test_per_category)
    sides = (TRAIN, TEST, VAL) if params.val_fraction > 0 else (TRAIN, TEST)
    with new_folder(out) as folder:
        for side in sides:
            (folder / f"{side}_x").mkdir()
            (folder / f"{side}_y").mkdir()
        with engine.sharing([resized], folder):
            pairs, failures = _write_pairs(photos, folder, engine)
        if not pairs:
            raise ColorpipeError(f"No photo in {resized} could be read; first {failures[0]}.")
        hashed = [pair.photo for pair in pairs]
        chosen = _choose_sides(
            hashed, params, pages, [row for row in rows if row.seed == params.seed]
        )
        _move(folder, pairs, chosen)
        check_pairs(folder, CHECKED)
        # The lock comes first: if this ends between the two, a row too many leaves a photo out,
        # but a row too few would let a test photo be trained on.
        if lock is not None:
            tested = [i for i, side in enumerate(chosen) if side == TEST]
            write_lock(lock, with_tested(rows, hashed, tested, params.seed, params.group_distance))
    if left_out := chosen.count(LEFT_OUT):
        print(
            f"{left_out} photos are in neither train nor test: they were tested with before and the"
            " test is full, or they are near duplicates of test photos or from the same web pages."
        )
    return failures


def _is_split_name(file: str) -> bool:
    side, _, name = file.partition("/")
    sides = {f"{side}_{kind}" for side in (TRAIN, TEST, VAL) for kind in "xy"}
    return side in sides and "/" not in name and "-" in name and name.endswith(".png")


def list_photos(resized: Path) -> list[ResizedPhoto]:
    """List the photos in the folders of ``resized``, sorted, with their names in the split.

    The category of a split photo is what stands before the last "-", so the rest of its name has
    none.

    Raises:
        ColorpipeError: there are none.
    """
    if not resized.is_dir():
        raise ColorpipeError(f"{resized} is not a folder; run resize first, or name another one.")
    photos: list[ResizedPhoto] = []
    for category in folders_in(resized):
        longest = LONGEST - len(os.fsencode(f"{category.name}-.png"))
        stems = distinct_stems(files_in(category), ".png", longest, _without_dashes)
        photos += [
            ResizedPhoto(
                f"{category}/{file}",
                category.name,
                printable(PurePath(file).stem),
                f"{category.name}-{stem}.png",
            )
            for file, stem in stems.items()
        ]
    if not photos:
        raise ColorpipeError(
            f"{resized} has no photos in folders; it must hold a folder for each category."
        )
    return photos


def _without_dashes(stem: str) -> str:
    return printable(stem, "_").replace("-", "_")


def _write_pairs(
    photos: Sequence[ResizedPhoto], folder: Path, engine: Engine
) -> tuple[list[WrittenPair], list[Failure]]:
    pairs: list[WrittenPair] = []
    failures: list[Failure] = []
    work = functools.partial(write_pair, folder=folder)
    failed = functools.partial(_give_up, folder=folder)
    results = engine.map_in_order(work, photos, failed=failed)
    for result in track(results, "Splitting", len(photos)):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            pairs.append(result)
    return pairs, failures


def write_pair(photo: ResizedPhoto, folder: Path) -> WrittenPair | Failure:
    """Write ``train_y/<name>`` and its gray copy ``train_x/<name>``, and hash the latter.

    Most photos are trained on; the others are moved when all hashes are known.
    """
    x, y = _pair(photo.name, folder, TRAIN)
    try:
        data = read_bytes(photo.path)
        opened = open_photo(data)
    except ImageError as error:
        return Failure(photo.path, str(error))
    gray = luma(opened.pixels)
    if opened.format == "PNG" and not opened.changes:
        _link_or_write(photo.path, y, data)
    else:
        y.write_bytes(encode_tile(opened.pixels))
    x.write_bytes(encode_tile(gray))
    hashed = HashedPhoto(printable(photo.category), photo.stem, *both_hashes(gray))
    return WrittenPair(hashed, photo.name)


def _pair(name: str, folder: Path, side: str) -> tuple[Path, Path]:
    """Where the gray copy of a photo is on a side, and where the photo."""
    return folder / f"{side}_x" / name, folder / f"{side}_y" / name


def _link_or_write(source: str, target: Path, data: bytes) -> None:
    """Make ``target`` another name of the file ``source``, or write ``data``, its content.

    A second copy of every photo would double the space that the split takes.
    """
    # A worker that was killed may have made it. As a name of the source it must not be written to.
    target.unlink(missing_ok=True)
    path = Path(source)
    try:
        # DVC may have put a link there; what it leads to is meant.
        target.hardlink_to(path.resolve() if path.is_symlink() else path)
    except OSError:
        target.write_bytes(data)


def _give_up(photo: ResizedPhoto, folder: Path) -> Failure:
    """Give up a photo that kills the process which reads it, with what that may have written."""
    for path in _pair(photo.name, folder, TRAIN):
        path.unlink(missing_ok=True)
    return Failure(photo.path, KILLED)


def _read_pages(manifest: Path | None) -> dict[tuple[str, str], str]:
    """Return the web page that each photo is from, by its category and its name without suffix."""
    if manifest is None or not manifest.exists():
        return {}
    rows = read_table(manifest, RawPhoto)
    return {(row.category, PurePath(row.name).stem): row.page for row in rows}


def _choose_sides(
    photos: Sequence[HashedPhoto],
    params: SplitParams,
    pages: Mapping[tuple[str, str], str],
    rows: Sequence[LockRow],
) -> list[str]:
    """Choose the side of each photo, with what belongs together on one side."""
    groups = group_alike(photos, params.group_distance)
    for i, photo in enumerate(photos):
        found = (photo.category, photo.name)
        document = (photo.category, without_number(photo.name))
        if found not in pages and document in pages:
            found = document
            groups.join(i, ("pages of one document", *document))
        if page := pages.get(found):
            groups.join(i, page)
    known = {row.value for row in rows if row.value is not None}
    claims = find_claims(rows, photos, photos_like(known, photos, params.group_distance))
    grouped = [GroupedPhoto(p.category, p.name, groups.of(i)) for i, p in enumerate(photos)]

    elsewhere = claims.alike_elsewhere
    while True:
        try:
            sides = assign(
                grouped,
                params.test_per_category,
                params.seed,
                {(photos[i].category, photos[i].name) for i in claims.locked},
                params.val_fraction,
                barred={grouped[i].group for i in claims.alike.union(elsewhere)},
            )
            break
        except NothingToTrainOnError as error:
            # Hashes also agree by accident. A photo of another category that is not even there must
            # not take the last photo from one that is.
            elsewhere = _without_least_alike(elsewhere, grouped, error)
    for i in sorted(claims.alike_elsewhere):
        if sides[i] in (TRAIN, VAL):
            print(
                f"{photos[i].category}/{photos[i].name} is not kept from training, although it"
                " looks like a photo of another category that was tested with (split.lock):"
                f" '{photos[i].category}' would have nothing to train on. Find more photos if it is"
                " that photo.",
                file=sys.stderr,
            )
    return sides


def _without_least_alike(
    alike: Mapping[int, int], photos: Sequence[GroupedPhoto], error: NothingToTrainOnError
) -> dict[int, int]:
    """Return ``alike``, positions and bits, without the group that has the most bits.

    Only photos of the category that has nothing to train on count, and they are what is left out.

    Raises:
        NothingToTrainOnError: ``error``, if there are none.
    """
    own = {i: bits for i, bits in alike.items() if photos[i].category == error.category}
    if not own:
        raise error
    nearest: dict[Hashable, int] = {}
    for i, bits in own.items():
        nearest[photos[i].group] = min(bits, nearest.get(photos[i].group, bits))
    least = max(nearest, key=nearest.__getitem__)
    return {i: bits for i, bits in alike.items() if i not in own or photos[i].group != least}


def _move(folder: Path, pairs: Sequence[WrittenPair], sides: Sequence[str]) -> None:
    """Move the pairs that are not for training to their sides."""
    for pair, side in zip(pairs, sides, strict=True):
        if side == TRAIN:
            continue
        before, after = _pair(pair.name, folder, TRAIN), _pair(pair.name, folder, side)
        for source, target in zip(before, after, strict=True):
            if side == LEFT_OUT:
                source.unlink()
            else:
                source.rename(target)


def check_pairs(split: Path, most: int | None = None) -> None:
    """Check that in every side x and y have the same names and sizes, and x is the gray of y.

    Args:
        split: the folder that holds the sides.
        most: pairs of each side to read, evenly chosen; None reads all. Names are always compared.

    Raises:
        ColorpipeError: the first pair that is not as it should be.
    """
    for colors in sorted(split.glob("*_y")):
        grays = colors.with_name(colors.name[:-1] + "x")
        names = files_in(colors)
        if not grays.is_dir() or names != files_in(grays):
            raise ColorpipeError(f"{grays} and {colors} do not hold the same names; split again.")
        step = 1 if most is None else -(-len(names) // most) or 1
        for name in names[::step]:
            _check_pair(grays / name, colors / name)


def _check_pair(x: Path, y: Path) -> None:
    try:
        with reading(x) as gray:
            pixels = np.asarray(gray) if gray.mode == "L" else None
        photo = open_photo(read_bytes(y))
    except ImageError as error:
        raise ColorpipeError(f"{x} and {y} are no pair: {error}.") from error
    if pixels is None:
        raise ColorpipeError(f"{x} is not gray.")
    if not np.array_equal(pixels, luma(photo.pixels)):
        raise ColorpipeError(f"{x} is not the gray version of {y}.")
