"""Parsers under damage: whatever the bytes, only our error class, and quickly. `make faults` runs 100,000 of each."""

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion import tensorflow as reader
from hf_embeddings.conversion.checkpoints import Safetensors, read_json_object
from hf_embeddings.conversion.configs import to_triembed
from hf_embeddings.conversion.families import find_families
from tests.conversion.bundles import table
from tests.conversion.laws import tiny
from tests.conversion.mutations import mutations, read_mutations, write_anew
from tests.conversion.test_tensorflow import write

FEW, FULL = 1500, 100_000
SLOWEST = 1.0  # seconds for one input


@pytest.fixture
def assert_only_ours(times, figures):
    """Return a check of a reader, which also writes the figures."""

    def check(what: str, data: bytes, read, *, share: int = 1) -> None:
        count = times(FEW, FULL) // share
        outcomes, slowest = damage(data, count, read)
        figures(
            f"F20 mutations of {what}", mutations=count, **outcomes, other_errors=0, slowest_ms=f"{1000 * slowest:.0f}"
        )

    return check


def damage(data: bytes, count: int, read, *, least: float = 0.01) -> tuple[dict[str, int], float]:
    """Read `count` mutations: each is read or refused, neither is rare, and none is slow; return how many, how slow."""
    read(data)
    outcomes, slowest = read_mutations(mutations(data, count), read, (ConversionError,), slowest=SLOWEST)
    assert min(outcomes.values()) > count * least, outcomes
    return outcomes, slowest


def test_f20_tensorflow_indexes(tmp_path: Path, monkeypatch, assert_only_ours) -> None:
    write(tmp_path / "source")
    data = bytearray((tmp_path / "source/bert_model.ckpt.index").read_bytes())
    # Without checksums, which would let few mutations past the first test.
    monkeypatch.setattr(reader, "_mask", lambda checksum: 0)
    monkeypatch.setattr(reader, "_slow_checksum", lambda block: 0)
    place = reader._varint(data, reader._varint(data, len(data) - 48)[1])[1]
    offset, size = reader._handle(data, place)
    handles = [reader._handle(value, 0) for _, value in reader._records(bytes(data[offset : offset + size]))]
    for start, length in [(offset, size), *handles]:
        data[start + length + 1 : start + length + 5] = bytes(4)
    assert_only_ours("a TensorFlow index", bytes(data), reader.read_index)
    assert table([(b"", b"")])


def test_f20_safetensors_headers(tmp_path: Path, assert_only_ours) -> None:
    whole = save({"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(3, dtype=torch.bfloat16)})
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    path = tmp_path / "model.safetensors"

    def read(header: bytes) -> None:
        write_anew(path, header + whole[length:])
        checkpoint = Safetensors([path])
        for name, described in checkpoint.tensors.items():
            tensor = checkpoint.read(name) if described.dtype is not None else None
            assert tensor is None or tuple(tensor.shape) == described.shape

    assert_only_ours("a safetensors header", whole[:length], read)


@pytest.mark.parametrize("head", ["BertForPreTraining", "ModernBertForMaskedLM", "RobertaForMaskedLM"])
def test_f20_configs(head: str, tmp_path: Path, assert_only_ours) -> None:
    tiny(head, pad_token_id=1).config.save_pretrained(tmp_path)
    path = tmp_path / "config.json"

    def read(data: bytes) -> None:
        write_anew(path, data)
        config = read_json_object(path)
        family = find_families(config)[0]
        to_triembed(config, family, family.heads[next(iter(family.heads))])

    assert_only_ours(f"the config.json of {head}", path.read_bytes(), read, share=3)
