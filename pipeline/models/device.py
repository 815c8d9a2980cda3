"""Where and how tensors are computed: device, precision, seeds.

Importing this module does not import torch: its functions do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ColorpipeError
from pipeline.params import DeviceName, PrecisionName

if TYPE_CHECKING:
    import torch
    from torch import nn


def choose_device(name: DeviceName = "auto") -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ColorpipeError: the device is not there.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(candidate for candidate in ("cuda", "mps", "cpu") if there[candidate])
    if not there.get(name):
        others = ["auto", *(candidate for candidate in there if there[candidate])]
        raise ColorpipeError(
            f"The device '{name}' is not available here; use --device {' or '.join(others)}."
        )
    return torch.device(name)


def speed_up(device: torch.device) -> None:
    """Let a CUDA device compute float32 products in TF32 and choose its fastest convolutions.

    TF32 keeps float32's range and 10 bits of its fraction, which training does not notice. The
    choice of convolutions depends on timing, so that two runs on CUDA may differ in the last bits;
    other devices are left as they are.
    """
    import torch

    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def choose_dtype(device: torch.device, name: PrecisionName = "auto") -> torch.dtype:
    """Return the type that convolutions are computed in on ``device``.

    ``auto`` is bfloat16 where that is faster (CUDA from Ampere on, CPUs with AMX, AMD's with
    AVX-512 BF16) and float32 elsewhere: emulated, bfloat16 is slower.
    """
    import torch

    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        gains = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        gains = _bfloat16_gains(_cpu_info())
    else:
        gains = False
    return torch.bfloat16 if gains else torch.float32


def place(module: nn.Module, device: torch.device) -> nn.Module:
    """Move ``module`` to ``device``, convolution weights in channels-last order.

    That is the order in which both cuDNN's and oneDNN's convolutions work; from the weights it
    passes on to every layer's output.
    """
    import torch

    module.to(device)
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


@contextlib.contextmanager
def memory_errors(work: str) -> Iterator[None]:
    """Turn running out of memory into a sentence about ``work``: what it was, and what to lower.

    Raises:
        ColorpipeError: memory ran out in the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ColorpipeError(f"Memory ran out with {work}.") from error


_OUT_OF_MEMORY = ("allocate memory", "out of memory", "Insufficient memory", "bad_alloc")
"""Of torch's and ONNX Runtime's allocators on the CPU, of torch's on CUDA and MPS, of OpenCV, and
of C++."""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, on any device: libraries raise types of their own."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in _OUT_OF_MEMORY)


def _cpu_info() -> str:
    """Return Linux's description of the processors; "" elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _bfloat16_gains(cpu_info: str) -> bool:
    """Return whether a CPU computes in bfloat16 faster than in float32.

    Having the instructions is not enough. AMD's processors multiply bfloat16 at twice the rate of
    float32, Intel's in their matrix unit (AMX) at many times. Without it, or where a virtual
    machine hides it, Intel's take as long for bfloat16, and the conversions come on top: `colorpipe
    train --precision bfloat16` has 0.7 times the speed of `--precision float32`.
    """
    words = cpu_info.split()
    return "amx_bf16" in words or ("avx512_bf16" in words and "AuthenticAMD" in words)
