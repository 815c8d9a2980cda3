from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import Offer, open_source
from pipeline.sources.cifar10 import read_pickle

META = {b"label_names": [b"airplane", b"automobile"], b"num_vis": 3072}
SUBSET = Path(__file__).parents[3] / "../shared/photos/cifar-10-python-subset.tar.gz"


def batch(count: int, seed: int = 0) -> dict[bytes, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)
    return {b"data": pixels, b"labels": [index % 2 for index in range(count)]}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def find(path: Path) -> list[Offer]:
    found = list(open_source(ScrapeParams(source="cifar10", path=path)))
    assert all(isinstance(offer, Offer) for offer in found)
    return [offer for offer in found if isinstance(offer, Offer)]


@pytest.mark.parametrize("protocol", range(5))
def test_photos_of_every_batch_are_read_whatever_the_pickle(tmp_path: Path, protocol: int) -> None:
    batches = {"data_batch_1": batch(3), "test_batch": batch(2, seed=1)}
    files = {name: pickle.dumps(value, protocol) for name, value in batches.items()}
    path = write(tmp_path, {**files, "batches.meta": pickle.dumps(META, protocol), "readme": b""})
    offers = find(path)
    assert [(offer.category, offer.url.partition("#")[2]) for offer in offers] == [
        ("airplane", "data_batch_1/0"),
        ("automobile", "data_batch_1/1"),
        ("airplane", "data_batch_1/2"),
        ("airplane", "test_batch/0"),
        ("automobile", "test_batch/1"),
    ]
    for offer, row in zip(offers[:3], batches["data_batch_1"][b"data"], strict=True):
        red, green, blue = row.reshape(3, 32, 32)
        with Image.open(io.BytesIO(offer.data)) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            assert np.array_equal(np.asarray(image), np.stack([red, green, blue], axis=-1))


def test_the_folder_that_the_archive_unpacks_to_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch(2)))
    (folder / "batches.meta").write_bytes(pickle.dumps(META))
    assert len(find(folder)) == len(find(tmp_path)) == 2


def test_the_real_layout_is_read(tmp_path: Path) -> None:
    """Of the archive as it is handed out, cut short; without it, of one made like it."""
    made = {"data_batch_1": batch(2), "batches.meta": META}
    archive = write(tmp_path, {name: pickle.dumps(value, 2) for name, value in made.items()})
    path, photos, classes = (SUBSET, 2750, 10) if SUBSET.exists() else (archive, 2, 2)
    offers = find(path)
    assert len(offers) == photos
    assert len({offer.category for offer in offers}) == classes


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    "content",
    [
        Evil(),
        {b"data": Evil()},
        {b"data": np.array([Evil()], dtype=object)},
        {b"data": np.random.default_rng},
        {b"data": Path("x")},
        {b"data": bytearray},
    ],
)
def test_no_code_that_a_pickle_names_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (0, 2, 4):
        with pytest.raises(ColorpipeError, match="asks for"):
            read_pickle(pickle.dumps(content, protocol), "x")
    assert not Path("evil").exists()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04", b"nonsense", b"\x80\x05\x96" + b"\xff" * 8, b"N."]
)
def test_what_is_no_pickle_of_a_batch_is_told(data: bytes) -> None:
    with pytest.raises(ColorpipeError, match="not a batch of CIFAR-10"):
        read_pickle(data, "data_batch_1")


KEY = {
    "deep": b")" + b"\x85" * 900_000,
    "deep, by marks": b"(" * 100_000 + b"t" * 100_000,
    "one twice, again and again": b")" + b"2\x86" * 60,
    "the same through the memo": b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60)),
    "deep, but built in between": b")" + (b"\x85" * 900 + b"Nb") * 2,
    "deep, but filled in between": b")" + (b"\x85" * 900 + b"(e") * 2,
    "many times the same": b")" + b"q\0(" + b"h\0" * 2000 + b"t",
}


@pytest.mark.parametrize("key", KEY.values(), ids=KEY)
def test_a_key_whose_hash_has_no_end_is_not_asked_for_it(key: bytes) -> None:
    with pytest.raises(ColorpipeError, match="a tuple holds more than 1000 objects"):
        read_pickle(b"\x80\x02}" + key + b"Ns.", "batches.meta")


def test_a_pickle_of_endless_steps_is_not_read() -> None:
    with pytest.raises(ColorpipeError, match="more than 1000000 steps"):
        read_pickle(b"\x80\x02" + b"]" * 1_000_001 + b".", "batches.meta")


@pytest.mark.parametrize("put", [b"r\xff\xff\xff\x7f", b"p2147483647\n"])
def test_a_pickle_that_asks_for_much_memory_does_not_get_it(put: bytes) -> None:
    with pytest.raises(ColorpipeError, match="at place 2147483647"):
        read_pickle(b"\x80\x02}" + put + b".", "batches.meta")


@pytest.mark.parametrize("protocol", range(5))
def test_a_batch_of_the_official_size_is_read(protocol: int) -> None:
    names = [b"photo_%06d.png" % index for index in range(10_000)]
    content = {b"labels": [3] * 10_000, b"filenames": names, b"data": np.zeros((1, 3072), np.uint8)}
    assert read_pickle(pickle.dumps(content, protocol), "x")[b"filenames"] == names


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({b"data": b"no array"}, "has no 'data'"),
        ({b"labels": None}, "has no 'data' and 'labels'"),
        ({b"labels": [0]}, "labels that do not fit"),
        ({b"labels": [0, 2]}, "labels that do not fit"),
        ({b"labels": [0, -1]}, "labels that do not fit"),
        ({b"data": np.zeros((2, 3072), np.float32)}, "no array of rows"),
        ({b"data": np.zeros((2, 3071), np.uint8)}, "no array of rows"),
        ({b"data": np.zeros((2, 3072), np.uint8, order="F")}, "no array of rows"),
    ],
)
def test_a_batch_that_is_laid_out_otherwise_is_told(
    tmp_path: Path, changes: dict[bytes, Any], part: str
) -> None:
    files = {"data_batch_1": {**batch(2), **changes}, "batches.meta": META}
    path = write(tmp_path, {name: pickle.dumps(value, 2) for name, value in files.items()})
    with pytest.raises(ColorpipeError, match=part):
        find(path)


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="does not hold CIFAR-10"):
        find(write(tmp_path, {"train": b""}))
