"""The network in ONNX Runtime: the same predictions as in PyTorch, which is not needed.

Needs ``onnxruntime``, which the extra ``onnx`` brings.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.errors import ColorpipeError
from pipeline.files.cores import cores
from pipeline.imaging.color import Float
from pipeline.models.resolve import digest_of, weights_of

KEY = "colorpipe"
"""The key of the file's metadata with what is needed to use it, as JSON."""
DIGEST = "weights_sha256"
"""The key in that JSON of the digest of the weights that were exported; older files have none."""
LUMA, HINTS, FACTOR = "luma", "hints", "factor"
"""Names of the inputs; only a network that takes hints has the second and the third."""
AB, SEEN, USED = "ab", "seen", "used"
"""Names of the outputs, alike."""


class OnnxPredictor:
    """A generator that `colorpipe export` wrote, computed in float32 on the CPU.

    Several threads may call it at once.

    Raises:
        ColorpipeError: the file is missing, damaged, was not written by this project, or was
            exported from other weights than those beside it.
    """

    batch = 4

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ColorpipeError(
                f"There is no file {path}; write an ONNX model with `colorpipe export --onnx`, or"
                " name another file with --model."
            )
        self._path = path
        self._session = self._open(threads=cores())
        try:
            header = json.loads(self._session.get_modelmeta().custom_metadata_map[KEY])
            self.size, self.multiple = int(header["size"]), int(header["multiple"])
            self.recipe = str(header["recipe"])
            digest = header.get(DIGEST)
        except (KeyError, ValueError, TypeError) as error:
            raise ColorpipeError(
                f"{path} is an ONNX file, but not one that `colorpipe export` wrote."
            ) from error
        self._inputs = {each.name for each in self._session.get_inputs()}
        # An earlier version's files have hints alone.
        self.takes_hints = {HINTS, FACTOR} <= self._inputs
        weights = weights_of(path)
        if digest is not None and weights is not None and digest != digest_of(weights):
            raise ColorpipeError(
                f"{path} was not exported from {weights} as it is now; export it again with"
                f" `colorpipe export --onnx --model {weights}`."
            )

    def _open(self, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        # By itself it takes every core of the machine and binds a thread to each, allowed or not.
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(
                self._path, options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's exceptions have no common base but Exception.
        except Exception as error:
            raise ColorpipeError(f"{self._path} is not an ONNX file, or it is damaged.") from error

    @contextlib.contextmanager
    def in_threads(self, number: int) -> Iterator[None]:
        """Let every prediction be computed in ``number`` threads while the block runs."""
        before = self._session
        self._session = self._open(threads=number)
        try:
            yield
        finally:
            self._session = before

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        """See :meth:`pipeline.models.torch_predictor.TorchPredictor.predict`."""
        (ab,) = self._run([AB], grays)
        return _channels_last(ab)

    def predict_by_hints(self, grays: NDArray[np.uint8], hints: Sequence[Float]) -> list[Float]:
        """See :meth:`pipeline.models.torch_predictor.TorchPredictor.predict_by_hints`."""
        if not self.takes_hints:
            raise ValueError(f"This model of the recipe {self.recipe} takes no hints.")
        plain, factor = self._run([AB, USED], grays)
        hinted = (self._run([AB], grays, own, factor)[0] for own in hints)
        return [_channels_last(ab) for ab in (plain, *hinted)]

    def describe(self, grays: NDArray[np.uint8]) -> Float:
        """See :meth:`pipeline.models.torch_predictor.TorchPredictor.describe`."""
        if not self.takes_hints:
            raise ValueError(
                f"This model of the recipe {self.recipe} has no encoder that describes."
            )
        (seen,) = self._run([SEEN], grays)
        return _channels_last(seen)

    def _run(
        self,
        outputs: Sequence[str],
        grays: NDArray[np.uint8],
        hints: Float | None = None,
        factor: Float | None = None,
    ) -> list[Float]:
        count, height, width = grays.shape
        if hints is None:
            hints = np.zeros((count, height // 2, width // 2, 3), np.float32)
        given = {
            LUMA: grays[:, None].astype(np.float32) / np.float32(255),
            HINTS: np.ascontiguousarray(hints.transpose(0, 3, 1, 2), np.float32),
            FACTOR: np.zeros((count, 1, 1, 1), np.float32) if factor is None else factor,
        }
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        inputs = {name: given[name] for name in self._inputs}
        results = self._session.run(outputs, inputs, options)
        return [np.asarray(result, np.float32) for result in results]


def _channels_last(result: Float) -> Float:
    return np.ascontiguousarray(result.transpose(0, 2, 3, 1))
