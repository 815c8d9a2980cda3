"""What a photo costs the process that hands it out: bytes of memory, milliseconds of a processor.

Beyond some number of workers that process is what they wait for. A job is what `colorize` keeps of
each photo of a local folder. Handing out is measured with a Ray of one worker that sleeps for half
a second a batch, and is the time of the thread that does it. A photo behind a URL is listed, handed
to a worker that does nothing, and its outcome taken; the server, on this computer, speaks S3's
language. Reading and writing it is the worker's part. All are times of the processor, which a busy
machine alters little.

    python benchmarks/driver.py
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import fsspec
from listing import listing_server

from pipeline.engines.choice import open_engine
from pipeline.engines.ray_workers import BATCH_SECONDS
from pipeline.errors import Failure
from pipeline.inference.jobs import Job, listed_jobs
from pipeline.inference.outcomes import Item, Outcome
from pipeline.inference.places import open_places
from pipeline.location import Url
from pipeline.locations.storage import TRANSFERS, Storage, transfer

JOBS = 100_000
BATCHES = 40
PHOTOS_IN_BATCH = 10
"""About as many of 400 pixels as a core colors in the time of a batch."""
LISTED = 20_000
OBJECTS = 500
BYTES = 30_000
"""Of an object: a JPEG of 400 pixels."""


def main() -> None:
    """Print a row for each cost."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"bytes of a job:                       {job_bytes():6.0f}")
    print(f"ms to hand out a batch:               {hand_out():6.2f}")
    print(f"ms of a photo behind a URL:           {behind_url():6.2f}")
    for name, milliseconds in transfers().items():
        print(f"ms of a worker to {name + ' an object:':19} {milliseconds:6.2f}")


def jobs(count: int) -> list[Job]:
    """Return jobs as a folder of folders gives them."""
    names = (f"{number // 1000:06}/photo-{number:09}.jpg" for number in range(count))
    photos, results = Path("/archive/scans"), Path("/archive/colorized")
    return [Job(name, photos / name, results / name) for name in names]


def job_bytes() -> float:
    """Return the bytes that a job takes."""
    tracemalloc.start()
    held = jobs(JOBS)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken / len(held)


def hand_out() -> float:
    """Return the milliseconds of this process that a batch takes, from its jobs to its results."""
    photos = jobs(BATCHES * PHOTOS_IN_BATCH)
    with open_engine("ray", "local") as engine, engine.holding(_nothing) as workers:
        # The worker starts.
        list(workers.map_in_order(_wait, photos[:1], failed=_name))
        started = time.thread_time()
        for _ in workers.map_in_order(_wait, photos, failed=_name):
            pass
        return (time.thread_time() - started) / BATCHES * 1000


def _nothing() -> None:
    return None


def _wait(held: object, batch: Iterable[Job]) -> Iterator[str]:
    del held
    for job in batch:
        time.sleep(BATCH_SECONDS / PHOTOS_IN_BATCH)
        yield _name(job)


def _name(job: Job) -> str:
    return job.name


def behind_url() -> float:
    """Return the milliseconds of this process that a photo behind a URL takes."""
    source, out = Url("s3", "photos/in"), Url("s3", "photos/out")
    with (
        served(_serve_listing),
        open_engine("ray", "local") as engine,
        engine.holding(_nothing) as workers,
        open_places(source, out, "overwrite") as places,
    ):
        list(workers.map_in_order(_wait, jobs(1), failed=_name))
        started = time.process_time()

        def find(names: Sequence[str] | None) -> Iterator[Job | Failure]:
            return listed_jobs(places.source, places.out, None, names=names or [])

        items = chain.from_iterable(places.batches(find))
        outcomes = places.checked(workers.map_in_order(_at_once, items, failed=_lost))
        done = sum(1 for outcome in outcomes if outcome.status == "colorized")
        if done != LISTED:
            raise SystemExit(f"Of {LISTED} photos {done} came out.")
        return (time.process_time() - started) / LISTED * 1000


def _at_once(held: object, items: Iterable[Item]) -> Iterator[Outcome]:
    del held
    for item in items:
        if isinstance(item, Job):
            yield Outcome(item.name, "colorized", (item.target,))
        else:
            yield _lost(item)


def _lost(item: Item) -> Outcome:
    return Outcome(item.what if isinstance(item, Failure) else item.name, "failed")


def transfers() -> dict[str, float]:
    """Return the milliseconds of this process that an object takes to be read and written."""
    with served(_serve), tempfile.TemporaryDirectory(prefix="colorpipe-driver-") as name:
        storage = Storage(Url("s3", "photos"))
        folder = Path(name)
        return {
            "read": _milliseconds(partial(_read, storage, folder)),
            "write": _milliseconds(partial(_write, storage, folder)),
        }


@contextlib.contextmanager
def served(serve: Callable[[Connection], None]) -> Iterator[None]:
    """Let the environment name a server in a process of its own, whose endpoint ``serve`` sends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ours.recv(),
    }
    # A client knows the endpoint that was named when it was made.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        yield
    finally:
        server.kill()


def _read(storage: Storage, folder: Path, name: str) -> None:
    storage.read(name, folder / name)


def _write(storage: Storage, folder: Path, name: str) -> None:
    storage.write(folder / name, name)


def _milliseconds(function: Callable[[str], None]) -> float:
    names = [f"{number}.jpg" for number in range(OBJECTS)]
    with ThreadPoolExecutor(TRANSFERS) as pool:
        for _ in transfer(function, names[:TRANSFERS], pool):
            pass
        started = time.process_time()
        for _, error in transfer(function, names, pool):
            if error is not None:
                raise error
        return (time.process_time() - started) / len(names) * 1000


def _serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    pipe.send(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()


def _serve_listing(pipe: Connection) -> None:
    with listing_server(LISTED) as endpoint:
        pipe.send(endpoint)
        threading.Event().wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(bytes(BYTES))

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


if __name__ == "__main__":
    main()
