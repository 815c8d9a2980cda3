"""A Ray cluster as an engine: its cores, or its GPUs, work as this machine's would."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.engines.base import R, S, T
from pipeline.engines.ray_actor import CPUS
from pipeline.engines.ray_connection import connection
from pipeline.engines.ray_workers import QUEUED, RayWorkers
from pipeline.errors import ColorpipeError
from pipeline.files.outputs import reason_of

GPU_SHARE = 0.25
"""Of a GPU, for each worker that uses one: a core that decodes and encodes photos keeps no more of
it busy."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[RayEngine]:
    """Connect to a Ray cluster, or start one of this machine's cores, until the block ends.

    Args:
        address: as :func:`pipeline.engines.ray_connection.connection` takes it.

    Raises:
        ColorpipeError: the extra ``ray`` is not installed, or there is no Ray, or another version.
    """
    with connection(address) as ray, RayEngine(ray) as engine:
        yield engine


class RayEngine:
    """A cluster that this process is connected to; see :class:`pipeline.engines.base.Engine`."""

    is_remote = True

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._shared: dict[str, str] = {}
        self._workers = RayWorkers(ray, _nothing, {"CPU": CPUS}, self._shared, 1)

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.__exit__()

    def map_in_order(
        self,
        function: Callable[[T], R],
        inputs: Iterable[T],
        failed: Callable[[T], R] | None = None,
    ) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Engine.map_in_order`."""
        each = functools.partial(_each, function)
        return self._workers.spread(each, iter(inputs), failed, None)

    def holding(self, load: Callable[[], S], device: str = "cpu") -> RayWorkers[S]:
        """See :meth:`pipeline.engines.base.Engine.holding`."""
        # The others would keep the cores that these need.
        self._workers.end(self._workers.slots)
        if device in {"auto", "cuda"}:
            needs = {"CPU": CPUS, "GPU": GPU_SHARE}
            workers = RayWorkers(self._ray, load, needs, self._shared, QUEUED)
            if workers.room():
                return workers
        if device == "cuda":
            raise ColorpipeError(
                "No machine of the cluster has a GPU and a core beside it; use --device auto or"
                " cpu."
            )
        return RayWorkers(self._ray, load, {"CPU": CPUS}, self._shared, QUEUED)

    @contextlib.contextmanager
    def sharing(self, sources: Sequence[Path], out: Path | None) -> Iterator[None]:
        """See :meth:`pipeline.engines.base.Engine.sharing`."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._shared.clear)
            read = [*sources, *(() if out is None or out.is_absolute() else (Path.cwd(),))]
            self._shared |= {str(path): str(path) for path in read}
            if out is not None:
                # Every machine may have a folder of this name, but not with this one in it.
                folder = next(path for path in (out, *out.absolute().parents) if path.is_dir())
                try:
                    mark = tempfile.TemporaryDirectory(
                        prefix=".shared-", dir=folder, ignore_cleanup_errors=True
                    )
                except OSError as error:
                    raise ColorpipeError(
                        f"{folder} cannot be written to: {reason_of(error)}."
                    ) from error
                self._shared[stack.enter_context(mark)] = str(folder)
            yield


def _nothing() -> None:
    return None


def _each(function: Callable[[T], R], held: None, inputs: Iterable[T]) -> Iterator[R]:
    del held
    return map(function, inputs)
