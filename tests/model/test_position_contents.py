"""Scores that depend on content: Shaw's and Huang's from loops over the papers' sums, DeBERTa's from transformers."""

import pytest
import torch
from transformers import DebertaV2Config, DebertaV2Model

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.attention import Attention
from hf_embeddings.model.fused_attention import fused_attention, keep_normal
from hf_embeddings.model.positions import Positions
from hf_embeddings.model.relative_products import RelativeRows, relative_products, relative_rows

SIZES = dict(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


@pytest.mark.parametrize("position", ["relative_key", "relative_key_query"])
@pytest.mark.parametrize("length", [9, 30])
def test_relative_keys_are_the_sums_of_the_paper(position: str, length: int) -> None:
    torch.manual_seed(0)
    config = TriEmbedConfig(**SIZES, position_embedding_type=position)
    attention = Attention(config, layer_idx=0).double()
    content = Positions(config)(torch.arange(length)[None]).content
    query, key = torch.randn(2, 2, 4, length, 8, dtype=torch.float64)
    scores = attention.position(query, key, content, attention)
    vectors = attention.position[position].table.weight
    for i in range(length):
        for j in range(length):
            vector = vectors[min(max(i - j, -23), 23) + 23]
            expected = query[:, :, i] @ vector
            if position == "relative_key_query":
                expected = expected + key[:, :, j] @ vector
            torch.testing.assert_close(scores[:, :, i, j], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("terms", [["c2p", "p2c"], ["p2c"]])
@pytest.mark.parametrize("buckets", [8, 0])
@pytest.mark.parametrize("shared", [True, False])
def test_disentangled_equals_deberta(terms: list[str], buckets: int, shared: bool) -> None:
    torch.manual_seed(0)
    options = {"share_att_key": shared, "pos_att_type": terms, "norm_rel_ebd": "layer_norm"}
    reference = DebertaV2Model(
        DebertaV2Config(
            **SIZES | {"type_vocab_size": 0, "relative_attention": True, "position_biased_input": False}, **options,
            position_buckets=buckets or -1, max_relative_positions=16, layer_norm_eps=1e-7,
        )
    ).eval()  # fmt: skip
    ours = TriEmbedModel(
        TriEmbedConfig(
            **SIZES, type_vocab_size=0, layer_norm_eps=1e-7, position_embedding_type="disentangled",
            position_parameters={"disentangled": options | {"position_buckets": buckets, "max_relative_positions": 16}},
        )
    ).eval()  # fmt: skip
    theirs = dict(reference.named_parameters())
    with torch.no_grad():
        for parameter in theirs.values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for name, parameter in ours.named_parameters():
            if not name.startswith("pooler"):
                parameter.copy_(theirs.pop(deberta_name(name)))
    assert not theirs
    ids = torch.randint(1, 50, (2, 22))
    mask = torch.ones_like(ids)
    mask[1, 15:] = 0
    with torch.no_grad():
        expected = reference(ids, attention_mask=mask).last_hidden_state[mask.bool()]
        for kernel in ("eager", "sdpa", "flex_attention"):
            ours.set_attn_implementation(kernel)
            found = ours(ids, attention_mask=mask).last_hidden_state[mask.bool()]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def deberta_name(name: str) -> str:
    """Name of a DeBERTa parameter for one of ours."""
    for ours, theirs in (
        ("embeddings.token", "embeddings.word_embeddings"),
        ("embeddings.position.disentangled.table", "encoder.rel_embeddings"),
        ("embeddings.position.disentangled.norm", "encoder.LayerNorm"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("layers", "encoder.layer"),
        ("attention.position.disentangled.key", "attention.self.pos_key_proj"),
        ("attention.position.disentangled.query", "attention.self.pos_query_proj"),
        ("attention.query", "attention.self.query_proj"),
        ("attention.key", "attention.self.key_proj"),
        ("attention.value", "attention.self.value_proj"),
        ("attention.out", "attention.output.dense"),
        ("attention_norm", "attention.output.LayerNorm"),
        ("feed_forward.up", "intermediate.dense"),
        ("feed_forward.down", "output.dense"),
        ("feed_forward_norm", "output.LayerNorm"),
    ):
        name = name.replace(ours, theirs)
    return name


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pos_att_type": ["p2p"]}, "expected 'c2p', 'p2c' or both"),
        ({"norm_rel_ebd": "batch"}, "expected 'layer_norm' or 'none'"),
        ({"position_buckets": 256}, "fewer than twice that number"),
        ({"buckets": 8}, "disentangled.buckets: expected one of position_buckets"),
    ],
)
def test_refused_in_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        TriEmbedConfig(**SIZES, position_embedding_type="disentangled", position_parameters={"disentangled": options})
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 150, 520])
@pytest.mark.parametrize("heads", [1, 3])
def test_products_by_offset_equal_those_by_pair(length: int, heads: int) -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 2, 3, length, 4, dtype=torch.float64).requires_grad_()
    tables = torch.randn(2, heads, 41, 4, dtype=torch.float64).requires_grad_()
    ids = torch.arange(length)[None]

    def number(distance: torch.Tensor) -> torch.Tensor:
        return distance.clamp(-20, 20) + 20

    fast = relative_rows(ids, number)
    slow = RelativeRows(number(ids[:, :, None] - ids[:, None, :]), None)
    assert fast.of_offsets is not None
    weights = torch.randn(2, 3, length, length, dtype=torch.float64)
    for with_query, with_key in ((0, 1), (0, None), (None, 1)):
        chosen = {
            "query_table": None if with_query is None else tables[with_query],
            "key_table": None if with_key is None else tables[with_key],
        }
        results = [relative_products(query, key, rows, **chosen) for rows in (fast, slow)]
        torch.testing.assert_close(results[0], results[1], atol=1e-12, rtol=0)
        leaves = [leaf for leaf, used in ((query, with_query), (key, with_key)) if used is not None] + [tables]
        grads = [torch.autograd.grad((found * weights).sum(), leaves) for found in results]
        for one, other in zip(*grads, strict=True):
            torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("rows, heads", [(1, 4), (3, 4), (1, 1), (3, 1)])
def test_the_backward_pass_under_a_trained_bias_is_the_derivative(rows: int, heads: int) -> None:
    torch.manual_seed(0)
    states = [torch.randn(3, 4, 7, 5, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    bias = torch.randn(rows, heads, 7, 7, dtype=torch.float64, requires_grad=True)

    def attend(*inputs: torch.Tensor) -> torch.Tensor:
        return fused_attention(*inputs, dropout=0.0, scaling=0.4)

    assert torch.autograd.gradcheck(attend, (*states, bias))
    plain = torch.nn.functional.scaled_dot_product_attention(*states, attn_mask=bias, scale=0.4)
    torch.testing.assert_close(attend(*states, bias), plain, atol=1e-12, rtol=0)


def test_normal_numbers_leave_the_weights_as_they_are() -> None:
    bias = -torch.arange(300.0) * torch.tensor([[0.01], [0.5], [1.0]])
    kept = keep_normal(bias)
    torch.testing.assert_close(kept.softmax(-1), bias.softmax(-1).where(bias >= -60, 0.0), atol=0, rtol=1e-6)
    assert torch.equal(kept[0], bias[0]) and torch.equal(keep_normal(bias.double()), bias.double())
