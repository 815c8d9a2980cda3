"""Split: divide the photos into train and test, each with its gray copy.

``<side>_y`` holds the photos and ``<side>_x`` their gray versions (Rec. 601 luma), under the same
names, ``<category>-<name>.png``.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import png
from pipeline.color import luma
from pipeline.curation.assignment import LEFT_OUT, TEST, TRAIN, VAL, Candidate, assign
from pipeline.curation.duplicates import Groups, near_pairs, perceptual_hash
from pipeline.errors import ColorpipeError, Failure
from pipeline.images import ImageError, open_photo, read_bytes, reading
from pipeline.listing import files_in, folders_in, stem_and_suffix
from pipeline.manifest import RawPhoto, read_table, write_table
from pipeline.outputs import check_replaceable, link_or_copy, new_folder, write_bytes
from pipeline.parallel import map_in_order
from pipeline.params import SplitParams
from pipeline.progress import track

CHECKED = 16
"""Pairs of each side that are read again at the end: x is made from y, so that only a fault in all
of them could be new."""


@dataclass(frozen=True)
class LockRow:
    """A row of the lock: a photo that is tested with."""

    category: str
    name: str
    seed: int


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

    category: str
    stem: str
    """Of the resized photo."""
    file: str
    """Name in the split."""
    hash: int


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
        lock: the table of test photos, read if it is there and written at the end; it keeps the
            test set the same when photos are added. None neither reads nor writes it.

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
    sides = (TRAIN, TEST, VAL) if params.val_fraction > 0 else (TRAIN, TEST)
    with new_folder(out) as folder:
        for side in sides:
            (folder / f"{side}_x").mkdir()
            (folder / f"{side}_y").mkdir()
        work = functools.partial(write_pair, folder=folder)
        for result in track(map_in_order(work, list_photos(resized)), "Splitting", total):
            if isinstance(result, Failure):
                failures.append(result)
            else:
                paired.append(result)
        if not paired:
            raise ColorpipeError(f"No photo in {resized} could be read; first {failures[0]}.")
        chosen = _sides(paired, params, manifest, lock)
        _move(folder, paired, chosen)
        check_pairs(folder, CHECKED)
    if lock is not None:
        tested = [p for p, side in zip(paired, chosen, strict=True) if side == TEST]
        _write_lock(lock, [LockRow(p.category, p.stem, params.seed) for p in tested])
    left_out = chosen.count(LEFT_OUT)
    if left_out:
        print(
            f"{left_out} photos are in neither train nor test, because they are near duplicates"
            " of test photos or come from the same page."
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
        files = {file: stem_and_suffix(file)[0] for file in files_in(category)}
        names = Counter(_plain(stem).casefold() for stem in files.values())
        for file, stem in files.items():
            name = _plain(stem)
            shared = names[name.casefold()] > 1
            mark = "_" + hashlib.sha256(file.encode()).hexdigest()[:8] if shared else ""
            yield Photo(f"{category}/{file}", category.name, stem, name + mark)


def _plain(stem: str) -> str:
    return stem.replace("-", "_")


def write_pair(photo: Photo, folder: Path) -> Paired | Failure:
    """Write ``train_y/<category>-<name>.png`` and its gray copy in ``train_x``; hash the latter.

    Most photos are trained on; the others are moved when their hashes are known.

    A PNG that holds the photo as it is becomes another name of the same file where the file system
    has hard links: a new file would cost more time than all the rest, and the space twice.
    """
    name = f"{photo.category}-{photo.name}.png"
    x, y = f"{folder}/{TRAIN}_x/{name}", f"{folder}/{TRAIN}_y/{name}"
    try:
        data = read_bytes(photo.path)
        opened = open_photo(data)
    except ImageError as error:
        return Failure(photo.path, str(error))
    gray = luma(opened.pixels)
    if png.is_rgb(data) and not opened.changes:
        link_or_copy(photo.path, y)
    else:
        write_bytes(y, png.encode(opened.pixels))
    write_bytes(x, png.encode(gray))
    return Paired(photo.category, photo.stem, name, perceptual_hash(gray))


def _sides(
    paired: Sequence[Paired], params: SplitParams, manifest: Path | None, lock: Path | None
) -> list[str]:
    """Choose the side of each photo, with what belongs together on one side."""
    groups = Groups()
    firsts: dict[int, int] = {}
    for i, photo in enumerate(paired):
        groups.join(i, firsts.setdefault(photo.hash, i))
    places = list(firsts.values())
    for a, b in near_pairs(list(firsts), params.group_distance):
        groups.join(places[a], places[b])
    if manifest is not None and manifest.exists():
        pages = {
            (row.category, Path(row.name).stem): row.page for row in read_table(manifest, RawPhoto)
        }
        for i, photo in enumerate(paired):
            if page := pages.get((photo.category, photo.stem)):
                groups.join(i, page)
    return assign(
        [Candidate(photo.category, photo.stem, groups.of(i)) for i, photo in enumerate(paired)],
        params.test_per_category,
        params.seed,
        _read_lock(lock, params.seed),
        params.val_fraction,
    )


def _read_lock(lock: Path | None, seed: int) -> set[tuple[str, str]]:
    """The photos tested with before; another seed is another draw."""
    if lock is None or not lock.exists():
        return set()
    return {(row.category, row.name) for row in read_table(lock, LockRow) if row.seed == seed}


def _move(folder: Path, paired: Sequence[Paired], sides: Sequence[str]) -> None:
    """Move the pairs that are not for training to their sides."""
    for photo, side in zip(paired, sides, strict=True):
        for kind in ("x", "y") if side != TRAIN else ():
            source = Path(f"{folder}/{TRAIN}_{kind}/{photo.file}")
            if side == LEFT_OUT:
                source.unlink()
            else:
                source.rename(f"{folder}/{side}_{kind}/{photo.file}")


def _write_lock(lock: Path, rows: list[LockRow]) -> None:
    if not lock.exists() or read_table(lock, LockRow) != rows:
        write_table(lock, rows, LockRow)


def check_pairs(split: Path, most: int | None = None) -> None:
    """Check that in every side x and y have the same names and sizes, and x is the gray of y.

    Args:
        split: the folder that holds the sides.
        most: pairs of each side to read, evenly chosen; None reads all. Names are always compared.

    Raises:
        ColorpipeError: the first pair that is not as it should be.
    """
    for colours in sorted(split.glob("*_y")):
        grays = colours.with_name(colours.name[:-1] + "x")
        names = files_in(colours)
        if not grays.is_dir() or names != files_in(grays):
            raise ColorpipeError(f"{grays} and {colours} do not hold the same names; split again.")
        step = 1 if most is None else -(-len(names) // most) or 1
        for result in map_in_order(
            pair_problem, ((grays / name, colours / name) for name in names[::step])
        ):
            if result is not None:
                raise ColorpipeError(result)


def pair_problem(pair: tuple[Path, Path]) -> str | None:
    """Say what is wrong with a gray and a colour file that should be a pair."""
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
