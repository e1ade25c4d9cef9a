"""What this machine multiplies fast: the only file that asks. Everything that depends on hardware asks here.

The answers follow flags of the processor, never a clock, so that the same machine always decides the same. Two
variables make a processor smaller than it is, for tests and for whoever needs them: `ONEDNN_MAX_CPU_ISA` (oneDNN's own)
and `ATEN_CPU_CAPABILITY` (PyTorch's own).
"""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

# oneDNN's names of x86 instruction sets that compute in bf16, or in something wider; others are capped below that.
# https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
ONEDNN_WITH_BF16 = (
    "AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX512_CORE_AMX_FP16", "AVX10_1_512", "AVX10_1_512_AMX",
    "AVX10_1_512_AMX_FP16", "AVX10_2_512", "AVX10_2_512_AMX_2", "DEFAULT", "ALL", "",
)  # fmt: skip
ONEDNN_BEFORE_AVX2 = ("SSE41", "AVX")
SLOW = 1.5  # times as slow as fp32: from here on it is said; less is noise
ROWS = 128  # of the product that is timed, fewer where the layer is wide: enough to keep the units busy
OPERATIONS = 1 << 26  # of that product at most, so that it is done in a second where there are no units
TRIALS = 8
ENOUGH_SECONDS = 1.0  # of trials, where there are no units for a format


@dataclass(frozen=True)
class Processor:
    """A CPU, as PyTorch may use it."""

    name: str
    instructions: str  # the widest vectors that PyTorch uses: AVX512, AVX2, ..., DEFAULT where there are none
    bf16: bool  # units that multiply bf16 faster than fp32
    int8: bool  # oneDNN multiplies 8 bits faster than fp32


class Precision(NamedTuple):
    """A number format, and why it is the one."""

    name: str
    reason: str


@cache
def processor() -> Processor:
    """Ask for the CPU of this machine, as `ONEDNN_MAX_CPU_ISA` and `ATEN_CPU_CAPABILITY` leave it."""
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return read_processor(flags, torch.backends.cpu.get_cpu_capability(), dict(os.environ))


def read_processor(flags: Mapping[str, object], vectors: str, environment: Mapping[str, str]) -> Processor:
    """Return what flags and variables say.

    Args:
        flags: of the processor, as `torch.cpu.get_capabilities` names them.
        vectors: what `torch.backends.cpu.get_cpu_capability` says.
        environment: variables of the process.
    """
    limit = environment.get("ONEDNN_MAX_CPU_ISA", environment.get("DNNL_MAX_CPU_ISA", "")).upper()
    onednn = torch.backends.mkldnn.is_available()
    name = str(flags.get("cpu_name") or platform.processor() or platform.machine())
    if str(flags.get("architecture", platform.machine())) in ("x86_64", "AMD64"):
        units = any(flags.get(flag) for flag in ("avx512_bf16", "amx_bf16"))
        bf16 = bool(units) and limit in ONEDNN_WITH_BF16 and vectors.startswith("AVX512")
        int8 = bool(flags.get("avx2")) and limit not in ONEDNN_BEFORE_AVX2 and vectors.startswith("AVX")
    else:  # ARM: oneDNN hands products to the Compute Library; not tried on such a machine
        bf16 = bool(flags.get("bf16") or flags.get("sve_bf16")) and vectors != "DEFAULT"
        int8 = False
    return Processor(name, vectors, onednn and bf16, onednn and int8 and hasattr(torch.ops.onednn, "qlinear_pointwise"))


def bf16_is_fast(device: torch.device | str = "cpu") -> bool:
    """Tell whether a device multiplies bf16 faster than fp32."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and processor().bf16


def int8_is_fast() -> bool:
    """Tell whether the CPU multiplies 8 bits faster than fp32."""
    return processor().int8


@cache
def multiplies_int8() -> bool:
    """Tell whether torch multiplies 8 bits on this CPU at all, by doing it once: builds differ."""
    try:
        weights = torch.ops.onednn.qlinear_prepack(torch.ones(1, 1, dtype=torch.int8), None)
        inputs, scales, zeros = torch.ones(1, 1, dtype=torch.int8), torch.ones(1), torch.zeros(1, dtype=torch.int32)
        torch.ops.onednn.qlinear_pointwise(
            inputs, 1.0, 0, weights, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
    except (AttributeError, RuntimeError):  # no such operator in this build, or none for this processor
        return False
    return True


@cache
def int8_weight_levels() -> int:
    """Return the largest 8-bit weight, 127 or 63, whose products with 8-bit inputs are added without saturation.

    Processors without VNNI add two products in 16 bits; what does not fit there is cut off without a word. Two of
    255 * 63 fit. It is found by multiplying once.
    """
    most, ones, zeros = torch.full((64, 64), 127, dtype=torch.int8), torch.ones(64), torch.zeros(64, dtype=torch.int32)
    weights = torch.ops.onednn.qlinear_prepack(most, None)
    product = torch.ops.onednn.qlinear_pointwise(
        most, 1.0, 0, weights, ones, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return 127 if bool((product == 64 * 127 * 127).all()) else 63


def packs_bf16() -> bool:
    """Tell whether oneDNN takes bf16 weights that were laid out for it in advance."""
    return processor().bf16 and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def packs_fp32() -> bool:
    """Tell whether oneDNN takes fp32 weights that were laid out for it in advance."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def training_precision(choice: str, device: torch.device | str) -> Precision:
    """Choose the number format of training: `no` (fp32), `bf16` or `fp16`.

    Args:
        choice: one of these, or `auto`.
        device: that trains.

    Raises:
        ValueError: the device cannot train in it.
    """
    device = torch.device(device)
    if choice == "fp16" and device.type == "cpu":
        raise ValueError(
            "training.mixed_precision: got 'fp16', which needs a GPU; write auto, which means "
            f"{number_format(training_precision('auto', device).name)} on this processor"
        )
    if choice != "auto":
        return Precision(choice, "as asked")
    if bf16_is_fast(device):
        return Precision("bf16", f"{describe(device)} multiplies it fast")
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return Precision("fp16", f"{describe(device)} multiplies it fast, and has no bf16 units")
    return Precision("no", f"{describe(device)} has no units for bf16")


def number_format(choice: str) -> str:
    """Return what people call a choice of `training.mixed_precision`."""
    return "fp32" if choice == "no" else choice


def encoding_precision(choice: str, device: torch.device | str) -> Precision:
    """Choose the number format of encoding: `fp32`, `bf16` or `int8`.

    Args:
        choice: one of these, or `auto`, which never takes `int8`: that costs some accuracy.
        device: that encodes.

    Raises:
        ValueError: the device cannot encode in it.
    """
    device = torch.device(device)
    if choice == "int8" and device.type != "cpu":
        raise ValueError(f"precision 'int8' runs on CPUs only, got the device {device}; write auto or bf16")
    if choice == "int8" and not multiplies_int8():
        raise ValueError(f"precision 'int8': torch cannot multiply 8 bits on {describe()}; write auto")
    if choice != "auto":
        return Precision(choice, "as asked")
    if bf16_is_fast(device):
        return Precision("bf16", f"{describe(device)} multiplies it fast")
    return Precision("fp32", f"{describe(device)} has no units for bf16")


def describe(device: torch.device | str = "cpu") -> str:
    """Name a device in a few words."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_model_name()} ({processor().instructions})" if device.type == "cpu" else device.type


def slowdown(
    build: Callable[[nn.Linear], nn.Module],
    dtype: torch.dtype,
    *,
    inputs: int,
    outputs: int,
    device: torch.device | str = "cpu",
    trains: bool = False,
) -> float:
    """Measure how many times as long as in fp32 a product takes in another format, on one thread of a CPU.

    Args:
        build: puts an (O, I) linear layer into the format.
        dtype: of what the layer is given.
        inputs: I, width of the layer's input.
        outputs: O, width of the layer's output.
        device: that multiplies.
        trains: count the two products of the backward pass too.
    """

    def seconds(layer: nn.Module, hidden: torch.Tensor) -> float:
        def multiply() -> None:
            with torch.set_grad_enabled(trains):
                scores = layer(hidden)
            if trains:
                torch.autograd.grad(scores, [hidden, *layer.parameters()], torch.ones_like(scores))

        return _seconds(multiply, torch.device(device))

    rows = min(ROWS, max(16, OPERATIONS // (2 * inputs * outputs)))
    hidden = torch.randn(rows, inputs, device=device)
    plain = seconds(nn.Linear(inputs, outputs, device=device), hidden.requires_grad_(trains))
    narrow = hidden.detach().to(dtype).requires_grad_(trains)
    return seconds(build(nn.Linear(inputs, outputs, device=device)), narrow) / plain


def bf16_slowdown(device: torch.device | str, *, inputs: int, outputs: int, trains: bool = False) -> float:
    """Return 1 where a device multiplies bf16 fast, and else the measured `slowdown` of a plain layer in bf16."""
    if bf16_is_fast(device):
        return 1.0
    return slowdown(
        lambda linear: linear.bfloat16(), torch.bfloat16, inputs=inputs, outputs=outputs, device=device, trains=trains
    )


def _seconds(multiply: Callable[[], object], device: torch.device) -> float:
    """Return the shortest of a few trials: on a CPU in processor time, which other work does not lengthen."""
    threads, clock = torch.get_num_threads(), time.perf_counter if device.type == "cuda" else time.thread_time
    torch.set_num_threads(1)
    try:
        times: list[float] = []
        while len(times) < TRIALS and sum(times) < ENOUGH_SECONDS:  # the first one also prepares
            _wait(device)
            began = clock()
            multiply()
            _wait(device)
            times.append(clock() - began)
    finally:
        torch.set_num_threads(threads)
    return max(min(times), 1e-9)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@cache
def _model_name() -> str:
    file = Path("/proc/cpuinfo")  # of Linux, where `platform` does not know the processor's name
    match = re.search(r"model name\s*: (.*)", file.read_text(encoding="utf-8")) if file.is_file() else None
    return match[1] if match else processor().name
