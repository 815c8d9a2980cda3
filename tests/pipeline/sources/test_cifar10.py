from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from archives import write_tar
from file_server import FileServer
from PIL import Image

from pipeline.download.official import OfficialFile
from pipeline.errors import ColorpipeError
from pipeline.params import INBOX, ScrapeParams
from pipeline.sources import cifar10, find_photos
from pipeline.sources.base import FoundPhoto

CLASSES = b"airplane\nautomobile\n\n"
BINARY = "cifar-10-binary.tar.gz"


def batch(count: int, seed: int = 0, labels: int = 2) -> bytes:
    """Records of 3073 bytes, with labels 0, 1, 0, 1 and so on."""
    records = np.random.default_rng(seed).integers(0, 256, (count, 3073), np.uint8)
    records[:, 0] = np.arange(count) % labels
    return records.tobytes()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    inside = {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}
    return write_tar(folder / BINARY, inside, "w:gz")


def find(path: Path = INBOX) -> list[FoundPhoto]:
    items = list(find_photos(ScrapeParams(source="cifar10", path=path)))
    assert all(isinstance(item, FoundPhoto) for item in items)
    return [item for item in items if isinstance(item, FoundPhoto)]


def test_the_photos_of_every_batch_are_read(tmp_path: Path) -> None:
    files = {
        "batches.meta.txt": CLASSES,
        "test_batch.bin": batch(2, seed=1),
        "readme.html": b"<html>",
        "data_batch_1.bin": batch(3),
    }
    photos = find(write(tmp_path, files))
    assert [(photo.category, photo.url) for photo in photos] == [
        ("airplane", f"{BINARY}#data_batch_1.bin/0"),
        ("automobile", f"{BINARY}#data_batch_1.bin/1"),
        ("airplane", f"{BINARY}#data_batch_1.bin/2"),
        ("airplane", f"{BINARY}#test_batch.bin/0"),
        ("automobile", f"{BINARY}#test_batch.bin/1"),
    ]
    records = np.frombuffer(files["data_batch_1.bin"], np.uint8).reshape(3, 3073)
    for photo, record in zip(photos[:3], records, strict=True):
        red, green, blue = record[1:].reshape(3, 32, 32)
        with Image.open(io.BytesIO(photo.data)) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            assert np.array_equal(np.asarray(image), np.stack([red, green, blue], axis=-1))


def test_the_unpacked_archive_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin").write_bytes(batch(2))
    (folder / "batches.meta.txt").write_bytes(CLASSES)
    assert len(find(folder)) == len(find(tmp_path)) == 2


def test_without_a_copy_the_archive_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"batches.meta.txt": CLASSES, "data_batch_1.bin": batch(3)}
    body = write(tmp_path / "server", files).read_bytes()
    monkeypatch.chdir(tmp_path)
    with FileServer(body) as server:
        official = OfficialFile(server.url(BINARY), hashlib.md5(body).hexdigest())
        monkeypatch.setattr(cifar10, "ARCHIVE", official)
        assert len(find()) == 3


class RunsCode:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("code-was-run"),)


@pytest.mark.parametrize("packed", [True, False])
def test_the_python_version_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("data_batch_1", "test_batch", "batches.meta")
    files = {f"cifar-10-batches-py/{name}": pickle.dumps(RunsCode()) for name in names}
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", files, "w:gz")
    if not packed:
        path = tmp_path / "cifar-10-batches-py"
        path.mkdir()
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
    with pytest.raises(ColorpipeError, match=r"Python version.*cifar-10-binary\.tar\.gz"):
        find(path)
    assert not Path("code-was-run").exists()


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"train.txt": b""}, "does not hold the binary version of CIFAR-10"),
        ({"data_batch_1.bin": batch(2)}, r"does not hold .*batches\.meta\.txt"),
        ({"batches.meta.txt": CLASSES}, "does not hold"),
        (
            {"batches.meta.txt": CLASSES, "data_batch_1.bin": batch(2)[:-1]},
            r"data_batch_1\.bin does not consist of records of 3073 bytes",
        ),
        ({"batches.meta.txt": CLASSES, "data_batch_1.bin": b""}, "does not consist of records"),
        (
            {"batches.meta.txt": CLASSES, "data_batch_1.bin": batch(3, labels=3)},
            "has the label 2, but",
        ),
        ({"batches.meta.txt": b"sea\n???\n", "data_batch_1.bin": batch(2)}, r"'\?\?\?' has no"),
    ],
)
def test_an_archive_of_another_layout_is_an_error(
    tmp_path: Path, files: dict[str, bytes], part: str
) -> None:
    with pytest.raises(ColorpipeError, match=part):
        find(write(tmp_path, files))


def test_a_batch_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    files = {"batches.meta.txt": CLASSES, "data_batch_1.bin": bytes(2**26 + 1)}
    with pytest.raises(ColorpipeError, match=r"data_batch_1\.bin cannot be read \(too large\)"):
        find(write(tmp_path, files))
