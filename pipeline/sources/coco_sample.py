"""COCO_SAMPLE of fastai: photos of COCO 2017, in one category, ``coco``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.download.official import OfficialFile, obtain
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.archive import copy_on_disk, photos_in_archive
from pipeline.sources.base import Item

ARCHIVE = OfficialFile("https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz", None)
# fastai publishes the size and the MD5 of the first MiB (fastai/data/checks.txt).
_BYTES = 3_245_877_008
_MD5_OF_START = "006cd55d633d94b36ecaf661467830ec"


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos of the archive or folder ``params.path``, or else of the download."""
    return photos_in_archive(
        copy_on_disk(params.local_path, ARCHIVE.name) or _download(),
        lambda _: "coco",
        params.max_bytes,
        page="https://docs.fast.ai/data.external.html",
        license="Flickr photos under Creative Commons licenses (cocodataset.org/#termsofuse)",
    )


def _download() -> Path:
    path = obtain(ARCHIVE)
    with path.open("rb") as stream:
        start = hashlib.md5(stream.read(2**20), usedforsecurity=False).hexdigest()
    if (path.stat().st_size, start) != (_BYTES, _MD5_OF_START):
        path.unlink()
        raise ColorpipeError(
            f"{ARCHIVE.url} is not the file that fastai describes, and was deleted; download it by"
            " other means and name it with --path (scrape.path)."
        )
    return path
