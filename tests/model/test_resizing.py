"""Position tables of another length: rows kept, end points fixed, the model saved and loaded with them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.resizing import resized

SIZES = dict(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=16,
)  # fmt: skip
TABLES = ["learned", "tupe", "relative_key", "relative_key_query", "learned+hope", "learned+disentangled"]


def make(position: str, **changes) -> TriEmbedModel:
    torch.manual_seed(0)
    return TriEmbedModel(TriEmbedConfig(**SIZES, position_embedding_type=position, **changes)).eval()


@given(old=st.integers(1, 40), new=st.integers(1, 80), fixed=st.integers(0, 2))
def test_interpolation_fixes_the_ends_and_is_monotone(old: int, new: int, fixed: int) -> None:
    table = nn.Embedding(old + fixed, 1)
    table.weight.data = torch.arange(old + fixed, dtype=torch.float32)[:, None]
    made = resized(table, new + fixed, how="interpolate", fixed_rows=fixed).weight[:, 0].detach()
    assert torch.equal(made[:fixed], table.weight[:fixed, 0])
    body = made[fixed:]
    assert body[0] == fixed and (new == 1 or body[-1] == pytest.approx(old + fixed - 1))
    assert new == 1 or (body.diff() >= 0).all()
    if old == new:
        assert torch.equal(made, table.weight[:, 0])


@pytest.mark.parametrize("position", TABLES)
@pytest.mark.parametrize("length, how", [(40, "interpolate"), (40, "extend"), (9, "truncate"), (9, "interpolate")])
def test_resized_models_run_and_reload(position: str, length: int, how: str, tmp_path) -> None:
    model = make(position)
    ids = torch.randint(1, 50, (2, 9))
    with torch.no_grad():
        before = model(ids).last_hidden_state
        model.resize_position_embeddings(length, how=how)
        after = model(ids).last_hidden_state
        model(torch.randint(1, 50, (1, length)))
    # Within the old length, only interpolation changes anything; nothing changes where scales of length are pinned.
    if how != "interpolate":
        torch.testing.assert_close(after, before)
    model.save_pretrained(tmp_path)
    again = TriEmbedModel.from_pretrained(tmp_path).eval()
    assert again.config.max_position_embeddings == length
    with torch.no_grad():
        torch.testing.assert_close(again(ids).last_hidden_state, after)


@pytest.mark.parametrize("position", POSITION_TYPES)
def test_the_config_knows_which_types_end(position: str) -> None:
    model = make(position)
    assert model.config.positions_end == (model.embeddings.position.length_limit is not None)


def test_extension_repeats_the_table_and_keeps_the_rows_of_roberta() -> None:
    model = make("learned", position_parameters={"learned": {"offset": 2}})
    old = model.get_position_embeddings().weight.clone()
    model.resize_position_embeddings(40, how="extend")
    new = model.get_position_embeddings().weight
    assert torch.equal(new[:18], old) and torch.equal(new[18:34], old[2:]) and len(new) == 42


def test_relative_keys_extend_on_both_sides() -> None:
    model = make("relative_key")
    table = model.layers[1].attention.position["relative_key"]
    old = table.table.weight.clone()
    model.resize_position_embeddings(20, how="extend")
    new = table.table.weight
    assert len(new) == 39 and torch.equal(new[4:-4], old)
    assert torch.equal(new[:4], old[:1].expand(4, -1)) and torch.equal(new[-4:], old[-1:].expand(4, -1))


@pytest.mark.parametrize(
    "position, length, how, message",
    [
        ("alibi", 40, "extend", "'alibi' has no table; defined for every position"),
        ("learned", 8, "extend", "got 8 for how='extend', expected at least 16"),
        ("learned", 40, "truncate", "expected 1 to 16"),
        ("learned", 40, "stretch", "expected one of interpolate, extend, truncate"),
    ],
)
def test_refused_in_words(position: str, length: int, how: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(position).resize_position_embeddings(length, how=how)
