"""The connection to a Ray cluster, and sentences for what can be wrong with it.

Ray itself waits for minutes for what is not there, and says little. It is imported late, and its
extra may be missing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ColorpipeError, needs_extra
from pipeline.files.cores import cores

CONNECTING = 5.0
"""Seconds until an address is taken to have nothing that listens."""
STORE = 1 << 27
"""Bytes of a local Ray's object store: only names and outcomes go through it."""


@contextlib.contextmanager
def connection(address: str | None) -> Iterator[Any]:
    """Connect to the Ray cluster at ``address``, or start one of this machine's cores.

    Yields the module ``ray``, connected.

    Args:
        address: ``auto`` is the cluster that this machine belongs to, ``ray://host:10001`` one that
            it does not, ``host:6379`` that of a head node. None is what the environment's
            ``RAY_ADDRESS`` says, or else a Ray of this machine alone, which ends with the block.

    Raises:
        ColorpipeError: the extra ``ray`` is not installed, or there is no Ray, or another version.
    """
    with needs_extra("ray", "--engine ray"):
        import ray
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    # Ray would tell its makers about each cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        options |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": STORE}
    else:
        _require_listening(address)
        # What runs there is this code, whatever is installed.
        options["runtime_env"] = {"py_modules": _own_packages()}
    try:
        try:
            ray.init(address, **options)
        except ConnectionAbortedError:
            # At a ray:// address the first server for a client may fail to start, and the next not.
            ray.init(address, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise _not_connected(address, error, ray.__version__) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_listening(address: str) -> None:
    if "@" in address:
        raise ColorpipeError(
            "--address has a name or a password in it, which Ray does not take; give the host and"
            " the port alone."
        )
    found = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/]+):(\d+)", address)
    if found is None:
        if address != "auto":
            raise ColorpipeError(
                f"--address is '{address}', but must be auto, ray://HOST:PORT or HOST:PORT."
            )
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), CONNECTING).close()
        if os.environ.get("RAY_USE_TLS", "0") == "0":
            _require_grpc(f"{found[1]}:{found[2]}")
    except (OSError, OverflowError) as error:
        raise _no_ray(address) from error


def _require_grpc(address: str) -> None:
    """Refuse what listens but is no Ray, such as its dashboard, on which Ray waits for minutes.

    Raises:
        TimeoutError: it does not speak Ray's protocol.
    """
    import grpc

    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECTING)
        except grpc.FutureTimeoutError as error:
            raise TimeoutError from error


def _no_ray(address: str) -> ColorpipeError:
    where = "on this machine" if address == "auto" else f"at {address}"
    return ColorpipeError(
        f"There is no Ray {where}; start it with `ray start --head`, name another --address, or"
        " leave it out for a Ray of this machine alone."
    )


def _not_connected(address: str, error: Exception, version: str) -> ColorpipeError:
    said = str(error)
    if theirs := re.search(r"Ray: (\S+)\s+Python: (\S+)", said):
        return ColorpipeError(
            f"The cluster at {address} has Ray {theirs[1]} with Python {theirs[2]}, and this is Ray"
            f" {version} with Python {platform.python_version()}; both must be the same on all"
            " machines."
        )
    if address == "local":
        first = said.strip().partition("\n")[0].rstrip(".")
        return ColorpipeError(f"Ray does not start on this machine: {first}.")
    if address == "auto" and isinstance(error, ConnectionError):
        return _no_ray(address)
    # It listens and speaks Ray's protocol. Ray itself does not say why it was turned away.
    return ColorpipeError(
        f"The Ray at {address} does not let this command in; if its head asks for a token, set"
        " RAY_AUTH_MODE=token and copy the head's ~/.ray/auth_token to this machine."
    )


def _own_packages() -> list[str]:
    pipeline = Path(__file__).parents[1]
    return [str(pipeline), str(pipeline.with_name("stages"))]
