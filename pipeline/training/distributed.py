"""One training run shared by several processes, which Accelerate or torchrun has launched.

This is the only module that knows the launcher. Each process computes its part of every batch, and
gradients are averaged before each step, so that all processes always have the same weights.
Networks are not wrapped in torch's DistributedDataParallel: it does not allow an adversarial step's
several calls of a discriminator, with and without gradients.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.models.device import choose_device
from pipeline.params import DeviceName


class Processes:
    """The processes of a run: the number of this one, and averages over all.

    Args:
        device: the kind of device; of several CUDA devices each process has its own.

    Raises:
        ColorpipeError: the device is not available.
    """

    def __init__(self, device: DeviceName = "auto") -> None:
        self.device = choose_device(device)
        self.index, self.count = 0, 1
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            # A fifth of a second to import, which a single process need not spend.
            from accelerate import PartialState  # noqa: PLC0415

            state = PartialState(cpu=self.device.type == "cpu")
            self.device, self.index, self.count = (
                state.device,
                state.process_index,
                state.num_processes,
            )

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.index == 0

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each float32 tensor by its mean over all processes; all pass the same shapes."""
        if self.count == 1 or not tensors:
            return
        from accelerate.utils import reduce  # noqa: PLC0415

        # One message for all: the time of a small message is latency.
        flat = torch.cat([tensor.detach().flatten().float() for tensor in tensors])
        means = reduce(flat, "mean").split([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Return this tensor of every process, in their order; all pass the same shape."""
        if self.count == 1:
            return [tensor]
        from accelerate.utils import gather  # noqa: PLC0415

        return list(gather(tensor[None]))

    def check_alike(self, step: int, modules: Iterable[nn.Module]) -> None:
        """Check that all processes are at the same step with the same weights in ``modules``.

        Each process waits here for all others.

        Raises:
            ColorpipeError: they are not. It is raised in every process.
        """
        if self.count == 1:
            return
        checksum = 0
        for module in modules:
            for weight in module.parameters():
                checksum = zlib.crc32(weight.detach().cpu().contiguous().numpy().data, checksum)
        own = torch.tensor([step, checksum], device=self.device)
        states = {tuple(state.tolist()) for state in self.gather(own)}
        if len(states) > 1:
            steps = " and ".join(str(done) for done in sorted({done for done, _ in states}))
            raise ColorpipeError(
                f"The processes do not hold the same weights (after {steps} steps of training);"
                " start all of them in one folder that they share, where the checkpoint of a"
                " stopped run is, with the same code and parameters."
            )

    def wait(self) -> None:
        """Wait until every process has called this."""
        self.average([torch.zeros(1, device=self.device)])


def gradients(parameters: Iterable[nn.Parameter]) -> Iterator[torch.Tensor]:
    """Yield the gradients of ``parameters`` that have one."""
    for parameter in parameters:
        if parameter.grad is not None:
            yield parameter.grad


def running_means(modules: Iterable[nn.Module]) -> Iterator[torch.Tensor]:
    """Yield batch norm's running means and variances, which follow from each process's part."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
                assert layer.running_var is not None
                yield layer.running_mean
                yield layer.running_var
