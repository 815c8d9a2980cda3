"""The chain of docs/cloud-chain.yaml, whose data lie on S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import object_storage
import pytest
import yaml
from photos import real_photos
from scratch import PROJECT, Scratch

from pipeline.dataset.split_lock import write_lock

PARAMS = {
    "resize": {"size": 32},
    "split": {"test_per_category": 1, "val_fraction": 0},
    "colorize": {"size": 64, "device": "cpu"},
    "clean": {},
    "scrape": {},
}
OUTS = ("raw", "clean", "resized", "split", "colorized")


@pytest.fixture(scope="module")
def storage() -> Iterator[object_storage.Storage]:
    with object_storage.object_storage() as endpoint:
        yield object_storage.Storage(endpoint)


@pytest.fixture
def chain(storage: object_storage.Storage, tmp_path: Path) -> Scratch:
    """A project of the chain alone, and photos of two categories in the storage."""
    for number, photo in enumerate(real_photos(7)[:-1]):
        storage.put(f"data/inbox/{'ab'[number % 2]}/{photo.name}", photo.read_bytes())
    content = yaml.safe_load((PROJECT / "docs/cloud-chain.yaml").read_text("utf-8"))
    content["vars"] = [{"store": f"s3://{object_storage.BUCKET}/data"}]
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(yaml.safe_dump(content))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write_lock(folder / "split.lock", [])
    chain = Scratch(folder)
    chain.environment["PYTHONPATH"] = str(PROJECT)
    chain.git("init", "--quiet")
    chain.dvc("init", "--quiet")
    return chain


def test_a_chain_on_s3_repeats_what_changed(
    storage: object_storage.Storage, chain: Scratch
) -> None:
    assert chain.repro() == ["inbox", "scrape", "clean", "resize", "split", "colorize"]
    for out in OUTS:
        rows = chain.path(f"data/{out}.csv").read_text("utf-8").splitlines()[1:]
        listed = [row.partition(",")[0] for row in rows]
        assert listed
        assert set(storage.names(f"data/{out}/")) - {f"data/{out}/.listing.csv"} == {
            f"data/{out}/{name}" for name in listed
        }
    before = {name: storage.get(name) for name in storage.names()}
    # Looked at again, nothing is made again.
    assert chain.repro() == ["inbox"]
    assert {name: storage.get(name) for name in storage.names()} == before
    new = real_photos(7)[-1]
    storage.put(f"data/inbox/a/{new.name}", new.read_bytes())
    assert chain.repro("scrape") == ["inbox", "scrape"]
    assert len(set(storage.names("data/raw/a/")) - before.keys()) == 1
    assert {"clean", "split"} <= chain.changed()
