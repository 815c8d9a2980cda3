"""Object storage on this computer: S3 by moto, with a door that can be busy, others by fsspec."""

from __future__ import annotations

import contextlib
import functools
import http.client
import logging
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from pipeline.locations import storage

BUCKET = "photos"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Two attempts: the waits between them stay short.
    "AWS_MAX_ATTEMPTS": "2",
}


CODES = {400: "AuthorizationHeaderMalformed", 403: "AccessDenied", 503: "ServiceUnavailable"}
"""What S3 says of a wrong region, to a stranger, and when it is busy."""


class Storage:
    """A bucket, empty at first, as its owner sees it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._client = _client(endpoint)
        forget = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
        urllib.request.urlopen(forget).close()
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=name, Body=data, ACL="public-read")

    def get(self, name: str) -> bytes:
        return bytes(self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read())

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=name)

    def names(self, prefix: str = "") -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def files(self, prefix: str) -> dict[str, bytes]:
        """What lies below a prefix, by the rest of the name."""
        return {name.removeprefix(prefix): self.get(name) for name in self.names(prefix)}


@functools.cache
def _client(endpoint: str) -> Any:
    # A twentieth of a second, which a bucket for each test need not take again.
    return boto3.client("s3", endpoint_url=endpoint)


@contextlib.contextmanager
def object_storage() -> Iterator[str]:
    """Give the endpoint of a storage of nothing, and set what its clients ask the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch, clients_of(endpoint):
        for key, value in ENVIRONMENT.items():
            patch.setenv(key, value)
        try:
            yield endpoint
        finally:
            server.stop()


@contextlib.contextmanager
def clients_of(endpoint: str) -> Iterator[None]:
    """Let the environment name an endpoint, and forget the clients that know another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        S3FileSystem.clear_instance_cache()
        try:
            yield
        finally:
            S3FileSystem.clear_instance_cache()


@contextlib.contextmanager
def door(endpoint: str, status: Callable[[str, str], int]) -> Iterator[str]:
    """Give an endpoint that passes requests on unless ``status(method, path)`` is not 0.

    In the block the environment names it.
    """
    host = endpoint.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            refused = status(self.command, self.path)
            if refused:
                code = CODES[refused]
                self._answer(refused, {}, f"<Error><Code>{code}</Code></Error>".encode())
                return
            connection = http.client.HTTPConnection(host)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
            connection.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            dropped = {"transfer-encoding", "connection", "date", "server"}
            if self.command != "HEAD":
                dropped.add("content-length")
                self.send_header("Content-Length", str(len(body)))
            for key, value in headers.items():
                if key.lower() not in dropped:
                    self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                # The client may have given up.
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with clients_of(address):
            yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def in_memory(scheme: str, kind: type[MemoryFileSystem] = MemoryFileSystem) -> Iterator[None]:
    """Let URLs of ``scheme`` lead to fsspec's storage in memory, with some empty buckets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(storage._PACKAGES, scheme, "fsspec")
        patch.setitem(_registry, scheme, kind)
        patch.setattr(kind, "store", {})
        patch.setattr(kind, "pseudo_dirs", ["", "/bucket", "/container", "/photos"])
        yield
