"""The script for GPUs, at toy size on a CPU: its tables are whole, a wrong kernel is named, no GPU is said in words."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks import gpu, gpu_parity
from benchmarks.pretraining_peers import Size

TOY = ["--device", "cpu", "--small", "--no-compile", "--rounds", "1"]


@pytest.fixture(autouse=True)
def other_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    monkeypatch.setattr(gpu, "SMALL", Size(1, 64, 2, 1))
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(precision)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_the_tables_name_every_way_and_every_peer(tmp_path: Path) -> None:
    output = tmp_path / "gpu.md"
    gpu.main([*TOY, "--types", "tupe", "alibi", "--output", str(output)])
    text = output.read_text(encoding="utf-8")
    ways = [name for name, way in gpu_parity.WAYS.items() if not way.compiled]
    assert all(f"| {name} | " in text for name in (*ways, "BERT", "TriEmbed", "TriEmbed modern"))
    assert "| ModernBERT, sdpa, as flash_attn is missing | " in text or "| ModernBERT, flash_attention_2 | " in text
    assert "| flash_attention_2, packed, bf16 | 0 |  |  | it needs a GPU (2 types) |" in text
    assert '"torch": ' in text and '"device": ' in text


def test_a_kernel_that_is_wrong_is_named_and_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = gpu_parity.run

    def wrong(model: object, documents: object, way: gpu_parity.Way) -> gpu_parity.Result:
        result = run(model, documents, way)
        return result._replace(outputs=result.outputs * 1.01) if way.packed and not way.bf16 else result

    monkeypatch.setattr(gpu_parity, "run", wrong)
    monkeypatch.setattr(gpu, "measure", lambda *arguments, **options: pytest.fail("it was timed"))
    with pytest.raises(SystemExit, match=r"1 differ from eager fp32: rope \(sdpa, packed, fp32\); nothing was timed"):
        gpu.main([*TOY, "--types", "rope"])


def test_a_kernel_that_fails_is_named_after_all_others_ran(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = gpu_parity.run

    def failing(model: object, documents: object, way: gpu_parity.Way) -> gpu_parity.Result:
        if way.packed and way.bf16:
            raise RuntimeError("no kernel image")
        return run(model, documents, way)

    monkeypatch.setattr(gpu_parity, "run", failing)
    monkeypatch.setattr(gpu, "measure", lambda *arguments, **options: ["speeds"])
    with pytest.raises(SystemExit, match=r"1 could not be run: rope \(sdpa, packed, bf16\); see the table"):
        gpu.main([*TOY, "--types", "rope"])
    said = capsys.readouterr().out
    assert "failed: RuntimeError: no kernel image (1 types)" in said and "speeds" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said_in_words() -> None:
    with pytest.raises(SystemExit, match="no GPU is here .* run it on a machine with a GPU, or try its code by"):
        gpu.main([])
