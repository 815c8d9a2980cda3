"""The network as an ONNX file, for ONNX Runtime and other programs that read the format.

Needs the extra ``onnx``: ``pip install 'colorpipe[onnx]'``.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from pipeline.errors import ColorpipeError, needs_extra
from pipeline.files.outputs import new_file, reason_of
from pipeline.models.onnx_predictor import AB, DIGEST, FACTOR, HINTS, KEY, LUMA, SEEN, USED
from pipeline.models.resolve import digest_of
from pipeline.models.torch_predictor import Describing, fold_batch_norm
from pipeline.models.weights import Generator, load_generator
from pipeline.networks.lite_unet import HINT_CHANNELS, LiteUNet
from pipeline.recipes.colorpipe import Colorpipe
from pipeline.recipes.shared.base import Recipe

_SIZE = 128
"""Side of the picture that the network is traced with; it then takes any."""


class _Prediction(nn.Module):
    """The whole way from luma to a* and b*, so that a reader needs no color arithmetic."""

    def __init__(self, recipe: Recipe, generator: nn.Module) -> None:
        super().__init__()
        self.recipe = recipe
        self.generator = generator

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        return self.recipe.predict_ab(self.generator, luma)


class _HintedPrediction(nn.Module):
    """The same with hints, and what the encoder sees, by which photos are matched to a reference.

    Whoever asks for some of the results alone computes no more than that.
    """

    def __init__(self, recipe: Colorpipe, generator: LiteUNet) -> None:
        super().__init__()
        self.recipe = recipe
        self.generator = generator
        self.describing = Describing(generator)

    def forward(
        self, luma: torch.Tensor, hints: torch.Tensor, factor: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        known = self.recipe.as_learned(hints, factor)
        learned = self.recipe.learned_ab(self.generator, luma, known)
        used = torch.where(factor > 0, factor, self.recipe.factor(learned))
        return learned * used, self.describing(luma * 2 - 1), used


def export_onnx(model: Path, out: Path) -> None:
    """Write the generator in ``model`` as the ONNX file ``out``, whole or not at all.

    Its input ``luma`` is float32 (N, 1, H, W), 0 to 1, with H and W multiples of what its metadata
    say; its output ``ab`` is float32 (N, 2, H, W), CIE a* and b*. N, H and W are free.

    The recipe that takes hints has another input, ``hints``, float32 (N, 3, H/2, W/2): a*, b* and
    the confidence in them, 0 to 1, all 0 where nothing is known. With hints comes ``factor``,
    float32 (N, 1, 1, 1): by what chroma is strengthened, which is the output ``used`` of a run
    without any; there it is 0. Another output, ``seen``, float32 (N, channels, H/8, W/8), is what
    the encoder sees, of length 1.

    Raises:
        ColorpipeError: ``model`` is missing or was not written by this project, the extra is not
            installed, the generator cannot be expressed in ONNX, or ``out`` cannot be written.
    """
    with needs_extra("onnx", "The export"):
        import onnx  # noqa: PLC0415
        import onnxscript  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401, PLC0415
    generator = load_generator(model)
    digest = digest_of(model)
    fold_batch_norm(generator.module)
    network, inputs, outputs = _traced(generator)
    free = torch.export.Dim.DYNAMIC
    with _written(out) as temporary:
        try:
            with _quietly():
                torch.onnx.export(
                    network.eval(),
                    tuple(inputs.values()),
                    temporary,
                    dynamo=True,
                    external_data=False,
                    input_names=list(inputs),
                    output_names=outputs,
                    dynamic_shapes={
                        name: {0: free} if name == FACTOR else {0: free, 2: free, 3: free}
                        for name in inputs
                    },
                )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).splitlines()[0]
            raise ColorpipeError(
                f"The recipe {generator.recipe.name} cannot be exported to ONNX: {reason}"
            ) from error
        described = onnx.load(temporary)
        header = {
            "recipe": generator.recipe.name,
            "size": generator.size,
            "multiple": generator.recipe.multiple,
            DIGEST: digest,
        }
        onnx.helper.set_model_props(described, {KEY: json.dumps(header, sort_keys=True)})
        onnx.save(described, temporary)


@contextlib.contextmanager
def _written(out: Path) -> Iterator[Path]:
    try:
        with new_file(out) as temporary:
            yield temporary
    except OSError as error:
        raise ColorpipeError(f"{out} could not be written: {reason_of(error)}.") from error


def _traced(generator: Generator) -> tuple[nn.Module, dict[str, torch.Tensor], list[str]]:
    """Return what is exported, inputs to trace it with by their names, and its outputs' names."""
    height, width = _SIZE, _SIZE + generator.recipe.multiple
    inputs = {LUMA: torch.rand(2, 1, height, width)}
    recipe, module = generator.recipe, generator.module
    if not (isinstance(recipe, Colorpipe) and isinstance(module, LiteUNet)):
        return _Prediction(recipe, module), inputs, [AB]
    inputs[HINTS] = torch.rand(2, HINT_CHANNELS, height // 2, width // 2)
    inputs[FACTOR] = torch.ones(2, 1, 1, 1)
    return _HintedPrediction(recipe, module), inputs, [AB, SEEN, USED]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's notes on its own progress off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
