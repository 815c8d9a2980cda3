"""Split: divide the photos into train and test, each with its gray copy.

``<side>_y`` holds the photos and ``<side>_x`` their gray versions (Rec. 601 luma), under the same
names, ``<category>-<name>.png``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from pipeline.dataset.hashing import both_hashes
from pipeline.dataset.manifest import RawPhoto
from pipeline.dataset.near_duplicates import Look, link_alike
from pipeline.dataset.split_assignment import LEFT_OUT, TEST, TRAIN, VAL, Candidate, assign
from pipeline.dataset.split_lock import LockRow, find_claims, read_lock, with_tested, write_lock
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import read_table
from pipeline.files.listing import files_in, folders_in
from pipeline.files.names import LONGEST, distinct_stems, printable
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.parallel import KILLED, map_in_order
from pipeline.files.progress import track
from pipeline.imaging.color import luma
from pipeline.imaging.decode import ImageError, open_photo, read_bytes, reading
from pipeline.imaging.formats import plain_png as png
from pipeline.params import SplitParams

CHECKED = 4
"""Pairs of each side that are read again at the end: x is made from y, so that only a fault in all
of them could be new."""


@dataclass(frozen=True)
class Photo:
    """A resized photo, and what it is called in the split."""

    path: str
    category: str
    stem: str
    name: str


@dataclass(frozen=True)
class Paired:
    """A photo whose pair was written."""

    look: Look
    """Under the stem of the resized photo."""
    file: str
    """Name in the split."""


def split(
    resized: Path,
    out: Path,
    params: SplitParams,
    *,
    manifest: Path | None = None,
    lock: Path | None = None,
) -> list[Failure]:
    """Write ``train_x``, ``train_y``, ``test_x``, ``test_y``; if asked for ``val_x``, ``val_y``.

    Args:
        resized: a folder of photos a category; only read.
        out: written whole or not at all.
        params: sizes, distance and seed.
        manifest: the table of raw photos; those of one page stay on one side. None, or a file that
            is not there, leaves pages out of account.
        lock: the table of all photos that were tested with, read if it is there and added to at
            the end; it keeps the test set the same when photos are added. None neither reads nor
            writes it.

    Returns:
        A failure for each photo that could not be read.

    Raises:
        ColorpipeError: there is no photo, a category has too few, or ``out`` holds files that no
            split wrote, or overlaps with what is read.
    """
    total = _count(resized)
    near = [path for path in (resized, manifest, lock) if path is not None]
    check_replaceable(out, "--split", near=near, known=_is_split_name)
    failures: list[Failure] = []
    paired: list[Paired] = []
    rows = [] if lock is None else read_lock(lock)
    sides = (TRAIN, TEST, VAL) if params.val_fraction > 0 else (TRAIN, TEST)
    with new_folder(out) as folder:
        for side in sides:
            (folder / f"{side}_x").mkdir()
            (folder / f"{side}_y").mkdir()
        work = functools.partial(write_pair, folder=folder)
        lost = functools.partial(_lose, folder=folder)
        results = map_in_order(work, list_photos(resized), failed=lost)
        for result in track(results, "Splitting", total):
            if isinstance(result, Failure):
                failures.append(result)
            else:
                paired.append(result)
        if not paired:
            raise ColorpipeError(f"No photo in {resized} could be read; first {failures[0]}.")
        looks = [pair.look for pair in paired]
        chosen = _sides(looks, params, manifest, [row for row in rows if row.seed == params.seed])
        _move(folder, paired, chosen)
        check_pairs(folder, CHECKED)
        # First the lock: a row too many leaves a photo idle, and one too few would let a photo be
        # trained on that was tested with.
        if lock is not None:
            tested = [i for i, side in enumerate(chosen) if side == TEST]
            write_lock(lock, with_tested(rows, looks, tested, params.seed, params.group_distance))
    left_out = chosen.count(LEFT_OUT)
    if left_out:
        print(
            f"{left_out} photos are in neither train nor test, because they were tested with before"
            " and the test is full, are near duplicates of such photos or come from the same page."
        )
    return failures


def _is_split_name(file: str) -> bool:
    side, _, name = file.partition("/")
    sides = {f"{side}_{kind}" for side in (TRAIN, TEST, VAL) for kind in "xy"}
    return side in sides and "/" not in name and "-" in name and name.endswith(".png")


def _count(resized: Path) -> int:
    """Count the photos; raise when there are none."""
    if not resized.is_dir():
        raise ColorpipeError(f"{resized} is not a folder; run resize first, or name another one.")
    total = sum(len(files_in(category)) for category in folders_in(resized))
    if not total:
        raise ColorpipeError(
            f"{resized} has no photos in folders; it must hold a folder for each category."
        )
    return total


def list_photos(resized: Path) -> Iterator[Photo]:
    """Name every photo in the folders of ``resized`` for the split, sorted.

    The category of a split photo is what stands before the last "-", so its name has none.
    """
    for category in folders_in(resized):
        room = LONGEST - len(os.fsencode(f"{category.name}-.png"))
        names = distinct_stems(files_in(category), ".png", room, _plain)
        for file, name in names.items():
            stem = printable(PurePath(file).stem)
            yield Photo(f"{category}/{file}", category.name, stem, name)


def _plain(stem: str) -> str:
    return printable(stem, "_").replace("-", "_")


def write_pair(photo: Photo, folder: Path) -> Paired | Failure:
    """Write ``train_y/<category>-<name>.png`` and its gray copy in ``train_x``; hash the latter.

    Most photos are trained on; the others are moved when their hashes are known.

    A PNG that holds the photo as it is becomes another name of the same file where the file system
    has hard links: a new file would cost more time than all the rest, and the space twice.
    """
    x, y = _pair(photo, folder)
    try:
        data = read_bytes(photo.path)
        opened = open_photo(data)
    except ImageError as error:
        return Failure(photo.path, str(error))
    gray = luma(opened.pixels)
    if png.is_rgb(data) and not opened.changes:
        _link_or_write(photo.path, y, data)
    else:
        Path(y).write_bytes(png.encode(opened.pixels))
    Path(x).write_bytes(png.encode(gray))
    look = Look(printable(photo.category), photo.stem, *both_hashes(gray))
    return Paired(look, y.rpartition("/")[2])


def _pair(photo: Photo, folder: Path) -> tuple[str, str]:
    """Where the gray copy of a photo goes, and where the photo."""
    name = f"{photo.category}-{photo.name}.png"
    return f"{folder}/{TRAIN}_x/{name}", f"{folder}/{TRAIN}_y/{name}"


def _lose(photo: Photo, folder: Path) -> Failure:
    """Give up a photo that kills the process which reads it, with what that may have written."""
    for path in _pair(photo, folder):
        Path(path).unlink(missing_ok=True)
    return Failure(photo.path, KILLED)


def _link_or_write(source: str, target: str, data: bytes) -> None:
    """Make ``target`` another name of the file ``source``, or write ``data``, which is in it."""
    # Left by a process that was killed; as another name of the source it must not be written to.
    Path(target).unlink(missing_ok=True)
    try:
        # DVC may have put a link there, and what it leads to is meant.
        Path(target).hardlink_to(Path(source).resolve())
    except OSError:
        Path(target).write_bytes(data)


def _sides(
    looks: Sequence[Look], params: SplitParams, manifest: Path | None, rows: Sequence[LockRow]
) -> list[str]:
    """Choose the side of each photo, with what belongs together on one side."""
    known = {row.look for row in rows if row.look is not None}
    groups, alike = link_alike(looks, known, params.group_distance)
    if manifest is not None and manifest.exists():
        pages = {
            (row.category, Path(row.name).stem): row.page for row in read_table(manifest, RawPhoto)
        }
        for i, photo in enumerate(looks):
            if page := pages.get((photo.category, photo.name)):
                groups.join(i, page)
    claims = find_claims(rows, looks, alike)
    candidates = [Candidate(p.category, p.name, groups.of(i)) for i, p in enumerate(looks)]

    def sides(closed: Collection[int]) -> list[str]:
        return assign(
            candidates,
            params.test_per_category,
            params.seed,
            {(looks[i].category, looks[i].name) for i in claims.locked},
            params.val_fraction,
            barred={candidates[i].group for i in closed},
        )

    try:
        return sides(claims.alike | claims.strangers)
    except ColorpipeError:
        if not claims.strangers:
            raise
        # Hashes agree by accident too, and what is of another category and not even there must not
        # take the last photo from one that is.
        return sides(claims.alike)


def _move(folder: Path, paired: Sequence[Paired], sides: Sequence[str]) -> None:
    """Move the pairs that are not for training to their sides."""
    for photo, side in zip(paired, sides, strict=True):
        for kind in ("x", "y") if side != TRAIN else ():
            # Path objects would cost more than the system's calls.
            source = f"{folder}/{TRAIN}_{kind}/{photo.file}"
            if side == LEFT_OUT:
                os.unlink(source)  # noqa: PTH108
            else:
                os.rename(source, f"{folder}/{side}_{kind}/{photo.file}")  # noqa: PTH104


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
        for result in map_in_order(
            pair_problem, ((grays / name, colors / name) for name in names[::step])
        ):
            if result is not None:
                raise ColorpipeError(result)


def pair_problem(pair: tuple[Path, Path]) -> str | None:
    """Say what is wrong with a gray and a color file that should be a pair."""
    x, y = pair
    try:
        with reading(x) as gray:
            pixels = np.asarray(gray) if gray.mode == "L" else None
        photo = open_photo(read_bytes(y))
    except ImageError as error:
        return f"{x} and {y} are no pair: {error}."
    if pixels is None:
        return f"{x} is not gray."
    if not np.array_equal(pixels, luma(photo.pixels)):
        return f"{x} is not the gray version of {y}."
    return None
