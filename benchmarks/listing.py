"""Memory of `colorpipe colorize` by the number of objects that a storage lists.

A server on this computer lists as many photos as are asked for, and a result of each, so that
`--skip-existing` takes up all of them and reads none. The driver, the process that lists and hands
out, should not grow with their number.

    python benchmarks/listing.py                          10,000 and 100,000 objects
    python benchmarks/listing.py --objects 1000 5000
    python benchmarks/listing.py --engine ray             the same with a Ray of this machine
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pipeline.engines.choice import ENGINES, EngineName

PAGE = 1000
"""Objects of a page, as many as S3 gives."""
DRIVER = (
    "import resource, sys\n"
    "from pipeline.cli import main\n"
    "try:\n"
    "    main()\n"
    "except SystemExit as ended:\n"
    "    print(ended.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
)


def main() -> None:
    """Let the command go through listings of each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--engine", choices=ENGINES, default="local")
    options = parser.parse_args()
    print(" objects  seconds  MiB of the driver at most  bytes an object more")
    before: tuple[int, int] | None = None
    for count in options.objects:
        started = time.perf_counter()
        memory = driver_memory(count, options.engine)
        seconds = time.perf_counter() - started
        more = ""
        if before is not None:
            more = f"{(memory - before[1]) / (count - before[0]):20.0f}"
        print(f"{count:8}  {seconds:7.1f}  {memory / 2**20:25.1f}  {more}", flush=True)
        before = (count, memory)


def driver_memory(count: int, engine: EngineName) -> int:
    """Return the bytes that the driver took at most, with ``count`` photos listed."""
    command = ["colorize", "s3://photos/in", "s3://photos/out", "--skip-existing"]
    command += ["--engine", engine]
    with listing_server(count) as endpoint:
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, *command],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    code, kibibytes = map(int, done.stdout.split())
    if code != 0 or f" {count} photos" not in done.stderr:
        raise SystemExit(done.stderr)
    return kibibytes * 1024


@contextlib.contextmanager
def listing_server(count: int) -> Iterator[str]:
    """Give the endpoint of a storage that lists ``count`` photos in any folder, and has none."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(count))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _handler(count: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            if "delimiter" in query:  # whether there is such a folder
                self._answer(_page(query["prefix"][0], 0, 1, count))
                return
            first = int(query.get("continuation-token", ["0"])[0])
            self._answer(_page(query["prefix"][0], first, PAGE, count))

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    return Handler


def _page(prefix: str, first: int, most: int, count: int) -> bytes:
    last = min(first + most, count)
    entries = "".join(
        f"<Contents><Key>{prefix}{number // 1000:06}/photo-{number:09}.jpg</Key>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f'<ETag>"{number:032x}"</ETag><Size>1000</Size></Contents>'
        for number in range(first, last)
    )
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < count else ""
    truncated = "true" if last < count else "false"
    return (
        '<?xml version="1.0"?><ListBucketResult><Name>photos</Name>'
        f"<IsTruncated>{truncated}</IsTruncated>{more}{entries}</ListBucketResult>"
    ).encode()


if __name__ == "__main__":
    main()
