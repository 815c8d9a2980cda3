"""A real cluster on this machine: two nodes of one core, whose workers and nodes are killed.

Functions for the workers are defined within tests: as code, not by name, they reach a process that
cannot import this module.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import grpc
import object_storage
import predictors
import pytest
import ray
from file_server import FileServer
from photos import scene
from PIL import Image
from ray._private.node import Node
from ray.cluster_utils import Cluster
from scratch import PROJECT

from pipeline.engines import ray_connection, ray_workers
from pipeline.engines.base import KILLED, Engine, Workers
from pipeline.engines.local_engine import LOCAL
from pipeline.engines.ray_engine import connected
from pipeline.engines.ray_workers import AHEAD, BATCH
from pipeline.errors import ColorpipeError
from pipeline.inference.isolated import IsolatedColorizer
from pipeline.inference.jobs import find_jobs
from pipeline.inference.streaming import Settings
from pipeline.location import parse_location
from pipeline.params import CleanParams, ColorizeParams, ResizeParams, SplitParams
from stages.clean import clean
from stages.colorize import colorize
from stages.resize import resize
from stages.split import split

PATIENCE = 240
"""Seconds after which what a test waits for is taken not to come."""
NODE = {"num_cpus": 1, "object_store_memory": 1 << 27, "include_dashboard": False}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


CLIENT_PORT = free_port()


def descendants() -> set[int]:
    """The processes that this one has started, directly or not, and that still run."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Python's own tracker ends with this process.
        if state != "Z" and b"resource_tracker" not in command:
            parents[int(stat.parent.name)] = int(parent)
    found = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_storage.object_storage() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """The TMPDIR of the cluster's machines; Ray's sockets have short names only."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def cluster(endpoint: str, temporary: Path) -> Iterator[Cluster]:
    before = descendants()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("TMPDIR", str(temporary))
        # The workers' colorpipe is what the driver sends, wherever another one is installed.
        patch.setenv("PYTHONPATH", os.devnull)
        head = {**NODE, "ray_client_server_port": CLIENT_PORT}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.add_node(**NODE)
        ray.cloudpickle.register_pickle_by_value(predictors)
        patch.delenv("TMPDIR")
        yield made
        ray.cloudpickle.unregister_pickle_by_value(predictors)
        made.shutdown()
    end = time.monotonic() + PATIENCE
    while descendants() - before:
        assert time.monotonic() < end, "processes of Ray are left behind"
        time.sleep(0.05)


def chain(raw: Path, out: Path, engine: Engine) -> None:
    clean(raw, out / "clean", out / "reports/clean.csv", CleanParams(), engine=engine)
    resize(out / "clean", out / "resized", ResizeParams(size=64), engine=engine)
    split(out / "resized", out / "split", SplitParams(test_per_category=2), engine=engine)
    colorize(raw, out / "colorized", None, ColorizeParams(device="cpu"), engine=engine)


@pytest.fixture(scope="module")
def local(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the local engine makes of the photos."""
    folder = tmp_path_factory.mktemp("local")
    chain(raw, folder, LOCAL)
    return folder


@pytest.fixture(scope="module")
def engine(local: Path, cluster: Cluster) -> Iterator[Engine]:
    # Work is forked there, which would not be safe beside the threads of a connected Ray.
    with connected(cluster.address) as made:
        yield made


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "raw"
    for number in range(60):
        path = folder / f"c{number % 2}/{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(number % 50, 80, 100)).save(path, quality=90)
    (folder / "c0/bad.jpg").write_bytes(b"no photo")
    return folder


def state(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# Drivers of their own; they come first, because an engine keeps its workers, and they the cores


def command(cluster: Cluster, *words: str) -> list[str]:
    engine = ["--engine", "ray", "--address", cluster.address]
    return [sys.executable, "-m", "pipeline", *words, *engine]


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "RAY_USAGE_STATS_ENABLED": "0"}


def test_a_killed_driver_leaves_nothing_half_done(
    cluster: Cluster, raw: Path, local: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    words = command(cluster, "colorize", str(raw), str(tmp_path / "out"), "--device", "cpu")
    run = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while len(list((tmp_path / "out").rglob("*.jpg"))) < 5:
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    run.kill()
    run.wait()
    done = subprocess.run(
        [*words, "--skip-existing"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "c0/bad.jpg" in done.stderr
    assert state(tmp_path / "out") == state(local / "colorized")


def connecting(address: str, before: str, environment: dict[str, str]) -> str:
    """What is said when a process of its own connects."""
    code = f"import ray; {before}\nfrom pipeline.engines.ray_engine import connected\n" + (
        f"with connected({address!r}) as engine: print(list(engine.map_in_order(str, range(3))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


def test_another_version_is_a_sentence(cluster: Cluster, environment: dict[str, str]) -> None:
    said = connecting(cluster.address, "ray.__version__ = '1.0.0'", environment)
    theirs = f"Ray {ray.__version__} with Python {platform.python_version()}"
    assert f"has {theirs}, and this is Ray 1.0.0 with Python" in said


def test_a_client_from_elsewhere_uses_the_cluster(
    cluster: Cluster, environment: dict[str, str]
) -> None:
    said = connecting(f"ray://127.0.0.1:{CLIENT_PORT}", "", environment)
    assert "['0', '1', '2']" in said


# What it does


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_results_come_in_the_order_of_the_inputs(engine: Engine, count: int) -> None:
    assert list(engine.map_in_order(str, range(count))) == [str(n) for n in range(count)]


def test_inputs_are_read_a_bounded_number_ahead(engine: Engine) -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = engine.map_in_order(str, endless())
    for _ in range(5 * BATCH):
        next(results)
    results.close()
    assert read <= 5 * BATCH + 2 * AHEAD * BATCH + BATCH


def test_what_a_worker_holds_is_made_once(engine: Engine, tmp_path: Path) -> None:
    def load() -> int:
        (tmp_path / str(os.getpid())).open("a").write("made\n")
        return os.getpid()

    def processes(held: int, inputs: Iterator[int]) -> Iterator[tuple[int, int]]:
        for _ in inputs:
            time.sleep(0.05)
            yield held, os.getpid()

    with engine.holding(load) as workers:
        found = [
            pair
            for _ in range(2)
            for pair in workers.map_in_order(processes, range(40), failed=lambda _: (0, 0))
        ]
    assert {held for held, _ in found} == {process for _, process in found}
    made = {int(path.name): path.read_text() for path in tmp_path.iterdir()}
    assert set(made.values()) == {"made\n"}
    # On a busy machine one worker may have done it all before the other has started.
    assert {process for _, process in found} <= set(made)


def test_the_code_that_runs_is_this_one(engine: Engine) -> None:
    def source(_: int) -> str:
        from pipeline.engines import ray_actor

        return Path(ray_actor.__file__).read_text()

    (found,) = engine.map_in_order(source, [0])
    assert found == (PROJECT / "pipeline/engines/ray_actor.py").read_text()


def test_an_error_in_a_worker_arrives_as_it_is(engine: Engine) -> None:
    def fail_at_100(n: int) -> int:
        if n == 100:
            raise OSError(28, "No space left on device", "photo.png")
        return n

    with pytest.raises(OSError, match="No space left") as caught:
        list(engine.map_in_order(fail_at_100, range(1000)))
    assert caught.value.filename == "photo.png"


def test_what_loading_raises_is_raised_here(engine: Engine) -> None:
    def load() -> None:
        raise ColorpipeError("There is no model.")

    def each(held: None, inputs: Iterator[int]) -> Iterator[int]:
        return iter(inputs)

    with engine.holding(load) as workers, pytest.raises(ColorpipeError, match="no model"):
        list(workers.map_in_order(each, [1], failed=abs))


# Ray believes what it is told of a machine's GPUs.


@contextlib.contextmanager
def another_node(cluster: Cluster, **resources: int) -> Iterator[Node]:
    node = cluster.add_node(**{**NODE, **resources})
    try:
        yield node
    finally:
        cluster.remove_node(node)
    end = time.monotonic() + PATIENCE
    while any(known["NodeID"] == node.node_id and known["Alive"] for known in ray.nodes()):
        assert time.monotonic() < end, "the node does not go"
        time.sleep(0.05)


def placements(workers: Workers[object], count: int) -> list[tuple[str, str, float, int]]:
    """For each input the node, what its worker sees of a GPU and has of it, and the process."""

    def each(held: object, inputs: Iterator[int]) -> Iterator[tuple[str, str, float, int]]:
        import ray

        context = ray.get_runtime_context()
        for _ in inputs:
            time.sleep(0.1)
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            share = context.get_assigned_resources().get("GPU", 0)
            yield context.get_node_id(), visible, share, os.getpid()

    return list(workers.map_in_order(each, range(count), failed=lambda _: ("", "", 0, 0)))


def test_workers_share_a_gpu_where_it_is(engine: Engine, cluster: Cluster) -> None:
    with another_node(cluster, num_cpus=2, num_gpus=1) as node:
        for device in ("auto", "cuda"):
            with engine.holding(dict, device) as workers:
                found = placements(workers, 20)
                # The other one may still be starting.
                end = time.monotonic() + PATIENCE
                while len({process for *_, process in found}) < 2 and time.monotonic() < end:
                    found += placements(workers, 4)
            assert {place[:3] for place in found} == {(node.node_id, "0", 0.25)}
            assert len({process for *_, process in found}) == 2


def test_a_machine_that_joins_gets_work(
    engine: Engine, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "PATIENCE", 0.2)

    def where(held: object, inputs: Iterator[int]) -> Iterator[str]:
        import ray

        for _ in inputs:
            time.sleep(0.05)
            yield ray.get_runtime_context().get_node_id()

    with engine.holding(dict, "cpu") as workers, ExitStack() as stack:
        results = workers.map_in_order(where, itertools.count(), failed=lambda _: "")
        first = next(results)
        joined = stack.enter_context(another_node(cluster, num_cpus=1)).node_id
        assert first != joined
        end = time.monotonic() + PATIENCE
        while next(results) != joined:
            assert time.monotonic() < end, "the machine gets nothing"


def test_a_gpu_without_a_core_beside_it_is_not_used(engine: Engine, cluster: Cluster) -> None:
    with another_node(cluster, num_cpus=0, num_gpus=1):
        with pytest.raises(ColorpipeError, match="has a GPU and a core beside it; use --device"):
            engine.holding(dict, "cuda")
        with engine.holding(dict, "auto") as workers:
            found = placements(workers, 4)
    assert {place[1:3] for place in found} == {("", 0)}


def test_a_gpu_that_the_cluster_lacks_is_a_sentence(engine: Engine) -> None:
    with pytest.raises(ColorpipeError, match="No machine of the cluster has a GPU and a core"):
        engine.holding(dict, "cuda")


# Workers and nodes that are lost


def test_inputs_that_kill_workers_are_given_up_and_the_rest_done(engine: Engine) -> None:
    def die_at_some(n: int) -> int:
        if n in {0, 100}:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    numbers = list(engine.map_in_order(die_at_some, range(300), lambda n: -n - 1))
    assert numbers == [-n - 1 if n in {0, 100} else n for n in range(300)]


def test_a_killed_worker_is_a_sentence_where_nothing_can_fail(engine: Engine) -> None:
    with pytest.raises(ColorpipeError, match="worker process was killed"):
        list(engine.map_in_order(lambda _: os.kill(os.getpid(), signal.SIGKILL), [1]))


def test_an_input_whose_worker_was_killed_once_is_tried_again(
    engine: Engine, tmp_path: Path
) -> None:
    def die_once(n: int) -> int:
        if n == 100 and not (tmp_path / "mark").exists():
            (tmp_path / "mark").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert list(engine.map_in_order(die_once, range(200))) == list(range(200))


def test_workers_that_die_while_they_load_are_a_sentence(engine: Engine) -> None:
    def each(held: None, inputs: Iterator[int]) -> Iterator[int]:
        return iter(inputs)

    with (
        engine.holding(lambda: os.kill(os.getpid(), signal.SIGKILL)) as workers,
        pytest.raises(ColorpipeError, match="killed while they started; most likely memory"),
    ):
        list(workers.map_in_order(each, [1], failed=abs))


def test_what_a_lost_node_had_is_done_elsewhere(engine: Engine, cluster: Cluster) -> None:
    def slow(n: int) -> tuple[int, str]:
        import ray

        time.sleep(0.02)
        return n, ray.get_runtime_context().get_node_id()

    results = engine.map_in_order(slow, range(400))
    found = [next(results) for _ in range(100)]
    node = sorted(cluster.worker_nodes, key=lambda node: str(node.node_id))[0]
    cluster.remove_node(node, allow_graceful=False)
    found += results
    assert [n for n, _ in found] == list(range(400))
    assert node.node_id in {where for _, where in found[:100]}
    assert {where for _, where in found[-20:]} == {cluster.head_node.node_id}
    cluster.add_node(**NODE)


# The stages


def test_every_stage_gives_the_bytes_of_the_local_engine(
    engine: Engine, raw: Path, local: Path, tmp_path: Path
) -> None:
    chain(raw, tmp_path, engine)
    there = state(local)
    assert {name.partition("/")[0] for name in there} == {
        "clean",
        "colorized",
        "reports",
        "resized",
        "split",
    }
    assert state(tmp_path) == there


def test_a_relative_folder_is_the_drivers(
    engine: Engine, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(raw.parent)
    resize(Path("raw"), tmp_path / "out", ResizeParams(size=64), engine=engine)
    assert len(state(tmp_path)) == 60


def test_a_machine_that_sees_other_files_is_said_before_it_works(
    engine: Engine, raw: Path, tmp_path: Path
) -> None:
    # All machines of this cluster see the same; what is gone when they begin, none of them sees.
    with engine.sharing([raw], tmp_path / "out"):
        assert list(engine.map_in_order(str, [1])) == ["1"]
        (mark,) = tmp_path.iterdir()
        mark.rmdir()
        with pytest.raises(ColorpipeError, match=f"does not see {tmp_path} as this one does; all"):
            list(engine.map_in_order(str, [1]))
    gone = tmp_path / "gone"
    with (
        engine.sharing([gone], tmp_path),
        engine.holding(dict) as workers,
        pytest.raises(ColorpipeError, match=f"does not see {gone} as this one does; all its ma"),
    ):
        list(workers.map_in_order(lambda held, inputs: iter(inputs), [1], failed=abs))
    assert list(engine.map_in_order(str, [1])) == ["1"]
    assert list(tmp_path.iterdir()) == []


# Photos behind URLs


@pytest.fixture
def storage(endpoint: str, raw: Path) -> object_storage.Storage:
    """The photos behind ``s3://photos/in``."""
    storage = object_storage.Storage(endpoint)
    for name, content in state(raw).items():
        storage.put(f"in/{name}", content)
    return storage


def colorize_stored(engine: Engine) -> None:
    source, out = parse_location("s3://photos/in"), parse_location("s3://photos/out")
    (failure,) = colorize(source, out, None, ColorizeParams(device="cpu"), engine=engine)
    assert str(failure) == "s3://photos/in/c0/bad.jpg: not an image of a known format"


def test_workers_read_and_upload_themselves_and_share_no_folder(
    engine: Engine,
    storage: object_storage.Storage,
    local: Path,
    temporary: Path,
) -> None:
    assert tempfile.gettempdir() != str(temporary)
    seen: set[str] = set()
    with meanwhile(lambda: seen.update(path.name for path in temporary.glob("colorpipe-*"))):
        colorize_stored(engine)
    assert storage.files("out/") == state(local / "colorized")
    assert seen
    assert not list(temporary.glob("colorpipe-*"))


def test_what_a_killed_worker_had_to_upload_another_does(
    engine: Engine, storage: object_storage.Storage, local: Path
) -> None:
    killed: list[int] = []

    def kill_one() -> None:
        if not killed and len(storage.names("out/")) >= 5:
            killed.append(max(map(int, workers_of_ray())))
            os.kill(killed[0], signal.SIGKILL)

    with meanwhile(kill_one):
        colorize_stored(engine)
    assert killed
    assert storage.files("out/") == state(local / "colorized")


@contextlib.contextmanager
def meanwhile(look: Callable[[], None]) -> Iterator[None]:
    """Do something again and again while the block runs."""
    over = threading.Event()

    def looking() -> None:
        while not over.wait(0.02):
            look()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(looking)
        try:
            yield
        finally:
            over.set()
        future.result()


def workers_of_ray() -> list[int]:
    """The processes of the workers that hold something."""
    return [
        process
        for process in descendants()
        if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::Actor")
    ]


def test_a_photo_that_crashes_its_decoder_is_that_photos_failure(
    engine: Engine, raw: Path, tmp_path: Path
) -> None:
    def load() -> object:
        from pipeline.imaging.formats import photo_file
        from pipeline.inference.colorizer import Colorizer

        open_file = photo_file.open_file

        def open_or_crash(source: Path) -> object:
            if source.name == "bad.jpg":
                os.kill(os.getpid(), signal.SIGKILL)
            return open_file(source)

        photo_file.open_file = open_or_crash
        return Colorizer(predictors.Rainbow())

    jobs = list(find_jobs(raw, tmp_path, None))
    with IsolatedColorizer(load, engine, "cpu") as isolated:
        outcomes = list(isolated.colorize_files(jobs, Settings()))
    assert [outcome.name for outcome in outcomes] == [job.name for job in jobs]
    failed = {outcome.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert failed == {"c0/bad.jpg": KILLED}
    assert len(state(tmp_path)) == 60


# Addresses


def test_a_ray_of_this_machine_alone_ends_with_its_work(
    tmp_path: Path, raw: Path, environment: dict[str, str]
) -> None:
    words = ["resize", "--clean", str(raw), "--resized", str(tmp_path / "out"), "--engine", "ray"]
    before = descendants()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("colorpipe: ")] == [
        f"colorpipe: {raw}/c0/bad.jpg: not an image of a known format"
    ]
    assert len(state(tmp_path / "out")) == 60
    assert descendants() <= before


def test_an_address_of_something_else_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_connection, "CONNECTING", 1.0)
    with FileServer(b"") as server:
        host = server.url("").removeprefix("http://").removesuffix("/")
        for address in (host, f"ray://{host}"):
            with pytest.raises(ColorpipeError, match=f"no Ray at {address}; start it with"):
                connected(address).__enter__()


def test_a_ray_that_asks_for_a_token_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Ray 2.60 says of it after twenty seconds.
    refused = ConnectionError("Failed to connect to Ray cluster at 127.0.0.1")
    monkeypatch.setattr(ray, "init", Mock(side_effect=refused))
    server = grpc.server(ThreadPoolExecutor(1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with pytest.raises(ColorpipeError, match=f"The Ray at {address} does not .*AUTH_MODE=tok"):
            connected(address).__enter__()
    finally:
        server.stop(None)
    with pytest.raises(ColorpipeError, match="There is no Ray on this machine; start it with"):
        connected("auto").__enter__()


def test_a_ray_that_does_not_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", Mock(side_effect=ValueError("No room in /dev/shm.\nMore.")))
    with pytest.raises(ColorpipeError, match=r"Ray does not start on .*: No room in /dev/shm\.$"):
        connected(None).__enter__()


def test_an_address_without_ray_is_a_sentence() -> None:
    port = free_port()
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(ColorpipeError, match=f"no Ray at {address}; start it with"):
            connected(address).__enter__()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "must be auto, ray://HOST:PORT or HOST:PORT"),
        ("ray://me:secret@host:10001", "has a name or a password in it"),
    ],
)
def test_an_address_that_is_none_is_a_sentence(address: str, said: str) -> None:
    with pytest.raises(ColorpipeError, match=said) as caught:
        connected(address).__enter__()
    assert "secret" not in str(caught.value)
