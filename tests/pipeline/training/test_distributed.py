"""Two real processes, launched by torchrun over gloo on this machine, against one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from splits import make_split

from pipeline.errors import ColorpipeError
from pipeline.training.distributed import Processes

PROJECT = Path(__file__).parents[3]

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from pipeline.training import trainer as training
from pipeline.training.photo_set import BatchSampler
from pipeline.errors import ColorpipeError, StoppedError
from pipeline.params import TrainParams
from stages.train import train

seen = []
batch = BatchSampler.batch
def spy(self, step, device, order=0, size=None):
    chosen = self.chosen(step, order)[self._part]
    seen.append([self.photos.names[i] for i in chosen])
    return batch(self, step, device, order, size)
BatchSampler.batch = spy

folder, stop = Path(sys.argv[1]), int(sys.argv[3])
step = training.Trainer._train_step
def stopped(self, phase, where):
    step(self, phase, where)
    if self.step + 1 == stop:
        os.kill(os.getpid(), signal.SIGINT)
training.Trainer._train_step = stopped

rank = os.environ.get("RANK", "alone")
if len(sys.argv) > 4:
    os.chdir(folder / f"node-{rank}")

try:
    train(folder / "split", folder / "out/generator.safetensors", folder / "out/curves",
        TrainParams(**json.loads(sys.argv[2])))
except StoppedError:
    pass
except ColorpipeError as error:
    (folder / f"error-{rank}.txt").write_text(str(error))
(folder / f"seen-{rank}.json").write_text(json.dumps(seen))
"""


HEARTBEAT = {"recipe": "heartbeat", "options": {"label_noise": 0.0}}
CYCLEGAN = {"recipe": "cyclegan", "options": {"halvings": 5, "width": 4, "pool": 2}}


def run(folder, count, params, stop=0, *apart):
    """Train in ``folder`` with so many processes; Ctrl-C reaches them in step ``stop``.

    ``apart`` gives each process a folder of its own, as machines without a shared one have.
    """
    params = {"epochs": 2, "batch_size": 4, "size": 32, "precision": "float32", **params}
    if not (folder / "split").exists():
        folder.mkdir(exist_ok=True)
        make_split(folder / "split", train=8, size=32)
        (folder / "script.py").write_text(SCRIPT)
    launcher = [sys.executable]
    if count > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
    done = subprocess.run(
        [
            *launcher,
            "script.py",
            str(folder),
            json.dumps({**params, "device": "cpu"}),
            str(stop),
            *apart,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def losses(folder):
    head, *rows = (folder / "out/curves/losses.tsv").read_text().splitlines()
    return [dict(zip(head.split("\t"), map(float, row.split("\t")), strict=True)) for row in rows]


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    run(folder / "one", 1, HEARTBEAT)
    return folder / "one", folder / "two", run(folder / "two", 2, HEARTBEAT)


def test_two_processes_see_the_photos_that_one_sees(one_and_two):
    one, two, _ = one_and_two
    alone = json.loads((one / "seen-alone.json").read_text())
    first, second = (json.loads((two / f"seen-{rank}.json").read_text()) for rank in (0, 1))
    assert len(alone) == 4
    assert [a + b for a, b in zip(first, second, strict=True)] == alone


def test_losses_and_weights_are_those_of_one_process(one_and_two):
    one, two, _ = one_and_two
    # The generator's: the discriminator has batch norm, whose statistics are each part's own.
    for alone, shared in zip(losses(one), losses(two), strict=True):
        assert shared["mse"] == pytest.approx(alone["mse"], rel=1e-5)
    alone, shared = (
        safetensors.torch.load_file(folder / "out/generator.safetensors") for folder in (one, two)
    )
    for name, weight in alone.items():
        torch.testing.assert_close(shared[name], weight, rtol=0, atol=1e-4)


def test_the_first_process_alone_writes_and_speaks(one_and_two):
    _, two, done = one_and_two
    assert sorted(path.name for path in (two / "out").iterdir()) == [
        "curves",
        "generator.safetensors",
        "generator.yaml",
    ]
    assert done.stdout.count("Training heartbeat from scratch") == 1
    assert "2 processes of cpu" in done.stdout
    assert not list((two / ".colorpipe/training").iterdir())


def test_two_processes_resume_with_the_pool_that_each_had(tmp_path):
    run(tmp_path / "whole", 2, CYCLEGAN)
    run(tmp_path / "parts", 2, CYCLEGAN, stop=2)
    assert not (tmp_path / "parts/out").exists()
    run(tmp_path / "parts", 2, CYCLEGAN)
    whole, parts = (tmp_path / name / "out/generator.safetensors" for name in ("whole", "parts"))
    assert parts.read_bytes() == whole.read_bytes()


def test_processes_with_different_checkpoints_do_not_resume(tmp_path):
    folder = tmp_path / "machines"
    for rank in (0, 1):
        (folder / f"node-{rank}").mkdir(parents=True)
    run(folder, 2, HEARTBEAT, 3, "apart")
    assert not list(folder.glob("error-*"))
    run(folder, 2, HEARTBEAT, 0, "apart")
    assert not (folder / "out").exists()
    for rank in (0, 1):
        said = (folder / f"error-{rank}.txt").read_text()
        assert "do not hold the same weights (after 0 and 3 steps of training); start all" in said


def test_a_single_process_imports_no_launcher():
    code = (
        "import sys, torch; from pipeline.training.distributed import Processes;"
        " p = Processes('cpu'); t = torch.ones(2); p.average([t]); p.wait();"
        " assert p.first and t.tolist() == [1, 1];"
        " assert 'accelerate' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "WORLD_SIZE": "1"})


def test_a_missing_device_is_reported():
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(ColorpipeError, match=f"'{absent}' is not available"):
        Processes(absent)
