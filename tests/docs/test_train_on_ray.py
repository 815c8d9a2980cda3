"""The script in docs/ that trains on a Ray cluster: two nodes of one core on this machine."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray.cluster_utils import Cluster
from scratch import PROJECT
from splits import make_split

PATIENCE = 1200
"""Seconds after which a training run is taken not to end: Ray waits for lost workers for ever."""
PARAMS = {
    "recipe": "heartbeat",
    "epochs": 2,
    "batch_size": 4,
    "size": 32,
    "precision": "float32",
    "device": "cpu",
}
NODE = {"num_cpus": 1, "object_store_memory": 1 << 27, "include_dashboard": False}


@pytest.fixture
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(PROJECT))
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        cluster.add_node(**NODE)
        yield cluster.address
        cluster.shutdown()


def trained(folder: Path, *command: str) -> tuple[list[float], str]:
    """Train in a new folder; return the generator's loss after each epoch, and what was printed."""
    make_split(folder / "data/split", train=8, size=32)
    (folder / "params.yaml").write_text(yaml.safe_dump({"train": PARAMS}))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "models/generator.safetensors").is_file()
    with (folder / "reports/plots/train/losses.tsv").open() as table:
        losses = [float(row["mse"]) for row in csv.DictReader(table, delimiter="\t")]
    return losses, done.stdout + done.stderr


def test_two_workers_have_the_losses_of_one_process(address: str, tmp_path: Path) -> None:
    script = str(PROJECT / "docs/train_on_ray.py")
    shared, said = trained(tmp_path / "two", script, "--workers", "2", "--address", address)
    # Two that each train alone would have these losses, too.
    assert "on 2 processes of cpu" in said
    alone, _ = trained(tmp_path / "one", "-m", "pipeline", "train")
    assert len(alone) == 2
    assert shared == pytest.approx(alone, rel=1e-5)
