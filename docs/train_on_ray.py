"""Train on a Ray cluster: `colorpipe train` in several workers, which share every batch.

Run it in the project's folder, which all machines see under the same path:

    pip install 'ray[train]'
    python docs/train_on_ray.py --workers 2 --gpus          with --address as Ray takes it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from pipeline.params import read_params
from stages.train import train


def main() -> None:
    """Start the workers and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpus", action="store_true", help="give each worker a GPU")
    parser.add_argument("--address", default="auto", help="the cluster's; local starts one")
    options = parser.parse_args()
    # Ray would tell its makers about a cluster that it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(options.address)
    TorchTrainer(
        train_here,
        train_loop_config={"folder": str(Path.cwd())},
        scaling_config=ScalingConfig(num_workers=options.workers, use_gpu=options.gpus),
        run_config=RunConfig(storage_path=str(Path("reports/ray").absolute())),
    ).fit()


def train_here(config: dict[str, str]) -> None:
    """Train in one worker; Ray has said in its environment which of how many it is."""
    os.chdir(config["folder"])
    split, model, curves = Path("data/split"), Path("models/generator.safetensors"), Path("reports")
    train(split, model, curves / "plots/train", read_params(required=True).train)


if __name__ == "__main__":
    main()
