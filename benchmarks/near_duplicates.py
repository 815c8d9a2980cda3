"""Near duplicates by the number of photos: time, memory, and how well the hash tells photos apart.

Random hashes have no near duplicates, so that all are compared with all. What `clean` and `split`
hold of each photo counts as their memory. With a folder of photos, growing parts of it show how
many photos look like another one by their hash, and how many the largest group then has, which
stays on one side of the split.

    python benchmarks/near_duplicates.py                          20,000 and 100,000 random hashes
    python benchmarks/near_duplicates.py --photos PHOTOS
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import resource
import time
from collections import Counter
from pathlib import Path

from pipeline.dataset.filters import CleanRow, Screened
from pipeline.dataset.hashing import both_hashes
from pipeline.dataset.near_duplicates import HashedPhoto, find_duplicates, group_alike
from pipeline.dataset.split_assignment import GroupedPhoto, assign
from pipeline.engines.local_engine import LOCAL
from pipeline.imaging.color import luma
from pipeline.imaging.decode import ImageError, open_photo, read_bytes
from pipeline.params import CleanParams, SplitParams

PARTS = (8, 4, 2, 1)
"""What part of the photos is looked at, each a row."""


def main() -> None:
    """Print a row a number of hashes, then a row a part of the photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, nargs="*", default=[20_000, 100_000])
    parser.add_argument("--photos", type=Path, help="a folder of photos")
    options = parser.parse_args()
    if options.hashes:
        print("                   seconds of\n   hashes  stage   one core    bytes a photo")
    for count in options.hashes:
        for stage in (of_clean, of_split):
            # A process of its own, whose memory nothing else has had.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, size = pool.apply(stage, (count,))
            name = stage.__name__.removeprefix("of_")
            print(f"{count:9}  {name:6}  {seconds:8.1f}  {size / count:13.0f}", flush=True)
    if options.photos is not None:
        of_photos(sorted(options.photos.rglob("*.jpg")))


def of_clean(count: int) -> tuple[float, int]:
    """Find duplicates as `clean` does; return processor seconds and bytes held."""
    draw = random.Random(0)
    before = memory()
    photos = [
        Screened(
            CleanRow("category", f"photo-{i:08}.jpg", "kept", "", "", name=f"photo-{i:08}.jpg"),
            draw.getrandbits(64),
            draw.getrandbits(32),
        )
        for i in range(count)
    ]
    started = time.process_time()
    find_duplicates(
        [photo.hash for photo in photos],
        [(photo.hash, photo.checksum, photo.row.width, photo.row.height) for photo in photos],
        range(count),
        CleanParams().duplicate_distance,
    )
    return time.process_time() - started, memory() - before


def of_split(count: int) -> tuple[float, int]:
    """Group and assign photos as `split` does; return processor seconds and bytes held."""
    draw = random.Random(0)
    before = memory()
    photos = [
        HashedPhoto("category", f"photo-{i:08}", draw.getrandbits(64), draw.getrandbits(64))
        for i in range(count)
    ]
    started = time.process_time()
    groups = group_alike(photos, SplitParams().group_distance)
    grouped = [GroupedPhoto(p.category, p.name, groups.of(i)) for i, p in enumerate(photos)]
    assign(grouped, 10, 0, set(), 0.1)
    return time.process_time() - started, memory() - before


def memory() -> int:
    """Return the most bytes that this process has had."""
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def of_photos(paths: list[Path]) -> None:
    """Print how many photos of growing parts look alike, and how large their groups are."""
    most = SplitParams().group_distance
    found = [photo for photo in LOCAL.map_in_order(hashed, map(str, paths)) if photo is not None]
    random.Random(0).shuffle(found)
    print(f"\nalike in all but {most} of 64 bits\n   photos  have another one  largest group")
    for part in PARTS:
        photos = found[: len(found) // part]
        groups = group_alike(photos, most)
        sizes = Counter(groups.of(i) for i in range(len(photos)))
        alike = sum(size for size in sizes.values() if size > 1)
        share = f"{alike / len(photos):.2%}"
        print(f"{len(photos):9}  {share:>16}  {max(sizes.values()):13}", flush=True)


def hashed(path: str) -> HashedPhoto | None:
    """Return a photo's hashes; None if it cannot be read."""
    try:
        gray = luma(open_photo(read_bytes(path)).pixels)
    except ImageError:
        return None
    return HashedPhoto("", path, *both_hashes(gray))


if __name__ == "__main__":
    main()
