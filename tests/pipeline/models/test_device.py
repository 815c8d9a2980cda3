import subprocess
import sys

import cv2
import pytest
import torch

from pipeline.errors import ColorpipeError
from pipeline.models import device as runtime
from pipeline.models.device import (
    choose_device,
    choose_dtype,
    is_out_of_memory,
    memory_errors,
    place,
)
from pipeline.networks.patchgan import PatchGAN

ABSENT = "cuda" if not torch.cuda.is_available() else "mps"


def test_auto_takes_a_device_that_works():
    assert torch.zeros(1, device=choose_device("auto")).item() == 0


@pytest.mark.parametrize("name", [ABSENT, "cuda:1"])
def test_a_missing_device_is_named_with_those_available(name):
    with pytest.raises(ColorpipeError, match=rf"'{name}' .* here; use --device auto or .*cpu\.$"):
        choose_device(name)


def test_a_precision_that_is_asked_for_is_taken():
    cpu = torch.device("cpu")
    assert choose_dtype(cpu, "float32") == torch.float32
    assert choose_dtype(cpu, "bfloat16") == torch.bfloat16
    assert choose_dtype(cpu) in {torch.float32, torch.bfloat16}


INTEL, AMD = "vendor_id\t: GenuineIntel", "vendor_id\t: AuthenticAMD"


@pytest.mark.parametrize(
    ("cpu_info", "expected"),
    [
        (f"{AMD}\nflags\t\t: avx512f avx512_bf16 sha_ni\n", torch.bfloat16),
        (f"{AMD}\nflags\t\t: avx2 sha_ni\n", torch.float32),
        (f"{INTEL}\nflags\t\t: avx512_bf16 amx_bf16 amx_tile\n", torch.bfloat16),
        # A virtual machine that hides the matrix unit.
        (f"{INTEL}\nflags\t\t: avx512_bf16 avx512_fp16\n", torch.float32),
        ("", torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_gains_by_it(monkeypatch, cpu_info, expected):
    monkeypatch.setattr(runtime, "_cpu_info", lambda: cpu_info)
    assert choose_dtype(torch.device("cpu"), "auto") == expected


def test_placing_orders_weights_and_changes_none():
    module = PatchGAN(3, width=8)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    place(module, torch.device("cpu"))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    weight = module.layers[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_importing_the_module_does_not_import_torch():
    code = (
        "import sys; from pipeline.models.device import *;"
        " assert is_out_of_memory(MemoryError()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_running_out_of_memory_becomes_a_sentence():
    sentence = r"^Memory ran out with a photo; lower its size\.$"
    with pytest.raises(ColorpipeError, match=sentence), memory_errors("a photo; lower its size"):
        torch.empty(2**55)
    with pytest.raises(RuntimeError, match="shape"), memory_errors("a product"):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("Failed to allocate memory for requested buffer of size 4194304"),
        RuntimeError("std::bad_alloc"),
        cv2.error("OpenCV(4.10.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to"),
        MemoryError(),
    ],
)
def test_every_library_s_word_for_it_is_known(error):
    assert is_out_of_memory(error)


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
