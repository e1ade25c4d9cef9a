"""What is exported equals the model, whatever format its weights are stored in; NaN equals nothing."""

import math
from pathlib import Path

import pytest
import torch

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.exporting import precision
from hf_embeddings.exporting.precision import TOLERANCE
from hf_embeddings.exporting.single_file import export_onnx

SIZES = dict(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_exported_in_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    TriEmbedModel(TriEmbedConfig(**SIZES)).to(dtype).save_pretrained(tmp_path / "model")
    done = export_onnx(tmp_path / "model", tmp_path / "model.onnx")
    assert done.largest_difference <= TOLERANCE and done.precision == "fp32"


def test_a_fixed_length_is_one_that_the_model_reads(tmp_path: Path) -> None:
    TriEmbedModel(TriEmbedConfig(**SIZES, max_position_embeddings=8)).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="got a fixed length of 9 tokens, the model reads 8 at most; give fewer"):
        export_onnx(tmp_path / "model", tmp_path / "model.onnx", fixed=(1, 9))


@pytest.mark.parametrize("int8", [False, True])
def test_a_file_that_gives_nan_is_not_kept(int8: bool, tmp_path: Path, monkeypatch) -> None:
    TriEmbedModel(TriEmbedConfig(**SIZES)).save_pretrained(tmp_path / "model")
    compare = precision.largest_difference
    calls = []

    def broken(found, expected) -> float:  # NaN first, and right numbers after it
        calls.append(1)
        return math.nan if len(calls) == 1 else compare(found, expected)

    monkeypatch.setattr(precision, "largest_difference", broken)
    with pytest.raises(ValueError, match="differ by nan"):
        export_onnx(tmp_path / "model", tmp_path / "model.onnx", precision="int8" if int8 else "fp32")
    assert len(calls) > 1 and [path.name for path in tmp_path.iterdir()] == ["model"]
