"""CIFAR-10 from its official archive, without unpickling: 60,000 photos of 32 x 32 px, 10 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html describes the layout.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from pipeline.download.archives import members
from pipeline.errors import ColorpipeError
from pipeline.imaging.decode import RGB
from pipeline.sources.archived import OfficialFile, obtain, on_disk
from pipeline.sources.base import Found, Offer
from pipeline.sources.categories import folder_name

# The page above publishes this MD5.
ARCHIVE = OfficialFile(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"
)
_LICENSE = "not stated by its makers"
_MAX_BATCH = 64 * 2**20
"""Bytes; the official batches have 31 MB."""
_MAX_STEPS = 1_000_000
"""Steps of a batch's pickle; photos' names and labels of a batch take 10,000 to 150,000."""
_MAX_TUPLE = 1000
"""Objects in a tuple, those of tuples in it included; an array's state has about ten."""
_SIDE = 32


class Cifar10Source:
    """Yields the photos of all batches, the test batch included: the split is this project's own.

    Args:
        path: as :func:`pipeline.sources.archived.on_disk` takes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Found]:
        """Yield the photos as PNG, batch after batch.

        Raises:
            ColorpipeError: the archive cannot be had, or is not laid out as CIFAR-10's.
        """
        path = on_disk(self._path, ARCHIVE.name) or obtain(ARCHIVE)
        batches: dict[str, dict[bytes, Any]] = {}
        for member in members(path, _is_batch, _MAX_BATCH):
            name = PurePosixPath(member.name).name
            content = member.read()
            if content.reason:
                raise ColorpipeError(f"{path}: {member.name} cannot be read ({content.reason}).")
            batches[name] = read_pickle(content.data, f"{path}: {member.name}")
        if "batches.meta" not in batches or len(batches) < 2:
            raise ColorpipeError(
                f"{path} does not hold CIFAR-10's Python version (data_batch_1 to 5, test_batch,"
                f" batches.meta); get it from {ARCHIVE.url}."
            )
        categories = _categories(batches.pop("batches.meta"), path)
        for name, batch in sorted(batches.items()):
            photos, labels = _photos(batch, f"{path}: {name}", len(categories))
            for index, (photo, label) in enumerate(zip(photos, labels, strict=True)):
                url = f"{path.name}#{name}/{index}"
                yield Offer(categories[label], url, _png(photo), license=_LICENSE)


def _is_batch(name: str) -> bool:
    return re.fullmatch(r"data_batch_\d+|test_batch|batches\.meta", Path(name).name) is not None


def _png(photo: RGB) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "PNG")
    return stream.getvalue()


def _categories(meta: dict[bytes, Any], path: Path) -> list[str]:
    names = meta.get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise ColorpipeError(f"{path}: batches.meta has no list of label_names.")
    where = f"{path}: batches.meta"
    return [folder_name(name.decode("ascii", "replace"), where) for name in names]


def _photos(batch: dict[bytes, Any], what: str, classes: int) -> tuple[RGB, list[int]]:
    """The photos (N, 32, 32, 3) and labels (N) of a batch."""
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise ColorpipeError(f"{what} has no 'data' and 'labels'.")
    pixels = data.pixels(what)
    if len(labels) != len(pixels) or not all(
        type(label) is int and 0 <= label < classes for label in labels
    ):
        raise ColorpipeError(f"{what} has labels that do not fit its photos.")
    # A row is a photo: 1024 red samples, 1024 green, 1024 blue.
    planes = pixels.reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


class _Array:
    """Stands in for a pickled NumPy array: keeps its state, runs none of NumPy's code."""

    def __init__(self, *_: object) -> None:
        self._state: object = None

    def __setstate__(self, state: object) -> None:
        self._state = state

    def pixels(self, what: str) -> RGB:
        """The samples, (N, 3072), uint8.

        Raises:
            ColorpipeError: the state is of another array.
        """
        # NumPy's state: version, shape, dtype, whether in Fortran's order, bytes.
        match self._state:
            case (1, (int(count), 3072), _DType("u1"), False | 0, bytes(raw)) if (
                len(raw) == count * 3072
            ):
                return np.frombuffer(raw, np.uint8).reshape(count, 3072)
        raise ColorpipeError(f"{what}: 'data' is no array of rows of 3072 bytes.")


class _DType:
    """Stands in for a pickled NumPy dtype."""

    __match_args__ = ("name",)

    def __init__(self, name: object = None, *_: object) -> None:
        self.name = name.decode("ascii", "replace") if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment: of no meaning for single bytes."""


def _encode(text: object, encoding: object) -> bytes:
    """Stands in for ``codecs.encode``, by which Python 3 writes bytes into old pickles."""
    if isinstance(text, str) and encoding == "latin1":
        return text.encode("latin-1")
    raise pickle.UnpicklingError("it encodes what is no bytes")


_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
}


def _check_steps(data: bytes) -> None:
    """Refuse a pickle of too many steps, or with a tuple of too many tuples.

    A dictionary asks a key for its hash, and a tuple each of its items, in C and without end: of
    tuples in tuples, millions deep, Python dies, and of tuples that have the same one twice, fifty
    deep, it never comes back. So the steps are gone through with sizes in place of objects.

    Raises:
        pickle.UnpicklingError: it is such a pickle.
        ValueError, LookupError: it is none.
    """
    sizes: list[int] = []
    """Of what is on the stack: the objects that a hash goes through; 0 is a mark."""
    memo: dict[int | None, int] = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(data), start=1):
        if step > _MAX_STEPS:
            raise pickle.UnpicklingError(f"it takes more than {_MAX_STEPS} steps")
        if opcode.name == "MARK":
            sizes.append(0)
        elif opcode.name in {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            place = len(memo) if opcode.name == "MEMOIZE" else int(argument or 0)
            if place > _MAX_STEPS:
                # Python makes room for as many objects, whether they come or not.
                raise pickle.UnpicklingError(f"it remembers an object at place {place}")
            memo[place] = sizes[-1]
        elif opcode.name in {"GET", "BINGET", "LONG_BINGET"}:
            sizes.append(memo[argument])
        else:
            taken = _take(sizes, opcode.stack_before)
            if opcode.name in {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}:
                size = 1 + sum(taken)
            else:
                # What is deepest is doubled, filled or built, and may be a tuple afterwards still:
                # APPENDS of nothing and BUILD by None look at no type.
                size = max([1, *taken[-1:]])
            if size > _MAX_TUPLE:
                raise pickle.UnpicklingError(f"a tuple holds more than {_MAX_TUPLE} objects")
            sizes += [size] * len(opcode.stack_after)


def _take(sizes: list[int], kinds: Sequence[pickletools.StackObject]) -> list[int]:
    """Take from the stack what an opcode takes: ``kinds``, of which a mark stands for all to it."""
    taken: list[int] = []
    for kind in reversed(kinds):
        if kind is pickletools.stackslice:
            continue
        taken.append(sizes.pop())
        while kind is pickletools.markobject and taken[-1]:
            taken.append(sizes.pop())
    return taken


class _Unpickler(pickle.Unpickler):
    """Builds containers, numbers, strings and the stand-ins; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read_pickle(data: bytes, what: str) -> dict[bytes, Any]:
    """Read a batch's dictionary, whose keys are bytes; no code that the file names is run.

    Args:
        data: the pickle.
        what: what it is called in errors.

    Raises:
        ColorpipeError: it is no such dictionary, or asks for anything but NumPy's arrays.
    """
    try:
        _check_steps(data)
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise ColorpipeError(f"{what} is not a batch of CIFAR-10 ({error}); not read.") from error
    if not isinstance(content, dict):
        raise ColorpipeError(f"{what} is not a batch of CIFAR-10.")
    return content
