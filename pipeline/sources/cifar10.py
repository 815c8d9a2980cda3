"""CIFAR-10 from its official binary archive: 60,000 photos of 32 x 32 px in 10 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The layout is described
at https://www.cs.toronto.edu/~kriz/cifar.html ("Binary version"). The Python version of the archive
is not read: it consists of pickles, which can run code when they are loaded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from pipeline.download.archives import Member, members
from pipeline.download.official import OfficialFile, obtain
from pipeline.errors import ColorpipeError
from pipeline.imaging.decode import RGB
from pipeline.params import ScrapeParams
from pipeline.sources.archive import copy_on_disk
from pipeline.sources.base import FoundPhoto, Item
from pipeline.sources.categories import folder_name

# The page above publishes this MD5.
ARCHIVE = OfficialFile(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
)
_CLASSES = "batches.meta.txt"
_BATCH = re.compile(r"(data_batch_\d+|test_batch)\.bin")
_PICKLE = re.compile(r"data_batch_\d+|test_batch|batches\.meta")
_SIDE = 32
_RECORD = 1 + 3 * _SIDE**2
"""Bytes of a photo in a batch: its label, then its red, green and blue samples row by row."""
_MAX_BYTES = 64 * 2**20
"""Bytes of a batch; the official ones have 31 MB."""


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos of all batches as PNG, in the order of the batches' names.

    The test batch is included: the chain has a split of its own.

    Raises:
        ColorpipeError: the archive cannot be downloaded, or is not laid out as described.
    """
    path = copy_on_disk(params.local_path, ARCHIVE.name) or obtain(ARCHIVE)
    files: dict[str, bytes] = {}
    has_pickles = False
    for member in members(path, _is_wanted, _MAX_BYTES):
        name = PurePosixPath(member.name).name
        if _PICKLE.fullmatch(name):
            has_pickles = True
        else:
            files[name] = _read(member, path)
    if not files and has_pickles:
        raise ColorpipeError(
            f"{path} is the Python version of CIFAR-10, which is not read because its pickles could"
            f" run code; download the binary version, {ARCHIVE.url}."
        )
    if _CLASSES not in files or len(files) < 2:
        raise ColorpipeError(
            f"{path} does not hold the binary version of CIFAR-10 (data_batch_1.bin to"
            f" data_batch_5.bin, test_batch.bin, {_CLASSES}); download {ARCHIVE.url}."
        )
    categories = _categories(files.pop(_CLASSES), path)
    for name, data in sorted(files.items()):
        pixels, labels = _photos(data, len(categories), f"{path}: {name}")
        for index, (photo, label) in enumerate(zip(pixels, labels, strict=True)):
            url = f"{path.name}#{name}/{index}"
            license = "not stated by its makers"
            yield FoundPhoto(categories[label], url, _png(photo), license=license)


def _is_wanted(member: str) -> bool:
    name = PurePosixPath(member).name
    return name == _CLASSES or bool(_BATCH.fullmatch(name) or _PICKLE.fullmatch(name))


def _read(member: Member, path: Path) -> bytes:
    content = member.read()
    if content.reason:
        raise ColorpipeError(
            f"{path}: {member.name} cannot be read ({content.reason}); download {ARCHIVE.url}."
        )
    return content.data


def _categories(classes: bytes, path: Path) -> list[str]:
    """The folder name of each label, from a file with the name of a class on each line."""
    lines = classes.decode("ascii", "replace").splitlines()
    return [folder_name(line, f"{path}: {_CLASSES}") for line in lines if line.strip()]


def _photos(batch: bytes, classes: int, where: str) -> tuple[RGB, list[int]]:
    """The photos (N, 32, 32, 3) and labels (N) of a batch."""
    if not batch or len(batch) % _RECORD:
        raise ColorpipeError(
            f"{where} does not consist of records of {_RECORD} bytes; download {ARCHIVE.url}."
        )
    records = np.frombuffer(batch, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0]
    if labels.max() >= classes:
        raise ColorpipeError(
            f"{where} has the label {labels.max()}, but {_CLASSES} names only {classes} classes;"
            f" download {ARCHIVE.url}."
        )
    planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels.tolist()


def _png(photo: RGB) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "PNG")
    return stream.getvalue()
