"""Precision follows the hardware, also hardware that is not here: by flags, and in children made smaller."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hf_embeddings import hardware
from hf_embeddings.hardware import encoding_precision, read_processor, slowdown, training_precision
from hf_embeddings.search import precision

ROOT = Path(__file__).parents[1]
X86 = {"architecture": "x86_64", "avx2": True}
ZEN4 = X86 | {"avx512_f": True, "avx512_bf16": True}
SAPPHIRE_RAPIDS = ZEN4 | {"amx_bf16": True}
CASCADE_LAKE = X86 | {"avx512_f": True, "avx512_vnni": True}  # AVX-512 without bf16: oneDNN would emulate it
MARK = "pytest.mark." + "precision"
SMALLER = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.mark.parametrize(
    ("flags", "vectors", "environment", "bf16", "int8"),
    [
        (ZEN4, "AVX512", {}, True, True),
        (SAPPHIRE_RAPIDS, "AVX512", {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, True, True),
        (SAPPHIRE_RAPIDS, "AVX512", {"ONEDNN_MAX_CPU_ISA": "avx2"}, False, True),
        (SAPPHIRE_RAPIDS, "AVX512", {"DNNL_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, False, True),
        (SAPPHIRE_RAPIDS, "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, True, True),
        (SAPPHIRE_RAPIDS, "AVX2", {}, False, True),  # under ATEN_CPU_CAPABILITY=avx2
        (SAPPHIRE_RAPIDS, "DEFAULT", {}, False, False),
        (CASCADE_LAKE, "AVX512", {}, False, True),
        (X86, "AVX2", {}, False, True),
        (X86, "AVX2", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, False, False),
        ({"architecture": "x86_64"}, "DEFAULT", {}, False, False),
        ({"architecture": "aarch64"}, "DEFAULT", {}, False, False),
    ],
)
def test_flags_and_limits_decide(flags: dict, vectors: str, environment: dict, bf16: bool, int8: bool) -> None:
    found = read_processor(flags, vectors, environment)
    onednn = torch.backends.mkldnn.is_available()
    assert (found.bf16, found.int8) == (bf16 and onednn, int8 and onednn)


@pytest.fixture(params=[False, True], ids=["without bf16 units", "with bf16 units"])
def has_units(request, monkeypatch) -> bool:
    changed = replace(hardware.processor(), bf16=request.param, int8=False)
    monkeypatch.setattr(hardware, "processor", lambda: changed)
    return request.param


def test_auto_takes_what_is_fast_and_says_why(has_units: bool) -> None:
    training, encoding = training_precision("auto", "cpu"), encoding_precision("auto", "cpu")
    assert (training.name, encoding.name) == (("bf16", "bf16") if has_units else ("no", "fp32"))
    for found in (training, encoding):
        assert ("multiplies it fast" if has_units else "has no units for bf16") in found.reason


def test_what_is_asked_for_by_name_is_taken(has_units: bool) -> None:
    assert [training_precision(name, "cpu").name for name in ("no", "bf16")] == ["no", "bf16"]
    assert [encoding_precision(name, "cpu").name for name in ("fp32", "bf16", "int8")] == ["fp32", "bf16", "int8"]


def _fails(*arguments: object) -> None:
    raise RuntimeError("unsupported")


def test_what_cannot_run_is_refused_with_the_cure(has_units: bool, monkeypatch) -> None:
    instead = "bf16" if has_units else "fp32"
    with pytest.raises(ValueError, match=f"'fp16', which needs a GPU; write auto, which means {instead}"):
        training_precision("fp16", "cpu")
    with pytest.raises(ValueError, match="'int8' runs on CPUs only, got the device cuda:1; write auto or bf16"):
        encoding_precision("int8", "cuda:1")
    hardware.multiplies_int8.cache_clear()
    monkeypatch.setattr(torch.ops.onednn, "qlinear_prepack", _fails)
    with pytest.raises(ValueError, match="'int8': torch cannot multiply 8 bits on .*; write auto"):
        encoding_precision("int8", "cpu")
    monkeypatch.undo()
    hardware.multiplies_int8.cache_clear()


def test_time_lost_is_the_measured_factor(has_units: bool, monkeypatch) -> None:
    measured = iter([2.0, 14.0, 2.0, 2.4])  # seconds: fp32, the other; twice
    monkeypatch.setattr(hardware, "_seconds", lambda multiply, device: (multiply(), next(measured))[1])
    line = precision.time_lost("int8", "cpu", inputs=16, outputs=64)
    assert line.startswith("warning: int8 takes 7 times as long as fp32 on ") and "(a layer of 16 x 64)" in line
    assert precision.time_lost("int8", "cpu", inputs=16, outputs=64) == ""  # a fifth is noise
    assert precision.time_lost("fp32", "cpu", inputs=16, outputs=64) == ""


def test_a_format_is_no_slower_than_itself() -> None:
    # The only clock in the tests, and a ratio of two like it: a factor of 3 would be a fault of the measurement.
    assert 1 / 3 < slowdown(lambda layer: layer, torch.float32, inputs=64, outputs=256, trains=True) < 3


@pytest.mark.parametrize("path", sorted(ROOT.glob("hf_embeddings/**/*.py")) + sorted(ROOT.glob("conversion/**/*.py")))
def test_no_other_file_asks_for_hardware(path: Path) -> None:
    asking = {
        "get_cpu_capability", "get_capabilities", "get_device_capability", "get_device_name", "is_bf16_supported",
        "_is_mkldnn_bf16_supported",
    }  # fmt: skip
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & asking
    if path.parts[-2:] == ("model", "packing.py"):  # of the code beside a checkpoint, which has no hardware.py
        found -= {"get_device_capability"}
    assert path.name == "hardware.py" or not found


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(SMALLER, id="avx2"),
        pytest.param({"ATEN_CPU_CAPABILITY": "default"}, id="default", marks=pytest.mark.slow),
    ],
)
def test_precision_on_a_smaller_processor(limits: dict[str, str], tmp_path: Path) -> None:
    """Run every test that is marked `precision` in a child whose processor is made smaller."""
    marked = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if MARK in path.read_text(encoding="utf-8")]
    line = [sys.executable, "-m", "pytest", "-m", "precision", *marked, f"--basetemp={tmp_path / 'base'}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(line, cwd=ROOT, env=environment | limits, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.precision
def test_the_limits_of_this_process_hold() -> None:
    limits = (os.environ.get("ONEDNN_MAX_CPU_ISA"), os.environ.get("ATEN_CPU_CAPABILITY"))
    limited = limits[0] == "AVX2" or limits[1] in ("avx2", "default")
    assert not (limited and hardware.processor().bf16)
    assert training_precision("auto", "cpu").name == ("bf16" if hardware.processor().bf16 else "no")


@pytest.mark.precision
@pytest.mark.parametrize("bias", [False, True])
def test_products_of_8_bits_are_never_cut_off(bias: bool) -> None:
    # The worst case for processors that add two products in 16 bits: all factors as large as they may be.
    linear = torch.nn.Linear(96, 64, bias=bias)
    torch.nn.init.ones_(linear.weight)
    inputs = torch.ones(5, 96)
    torch.testing.assert_close(precision.Int8Linear(linear)(inputs), linear(inputs), rtol=1e-5, atol=1e-4)
