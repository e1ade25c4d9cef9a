"""Each position type against a slow oracle, written as loops from the paper's formula."""

import math

import pytest
import torch
from transformers.models.t5.modeling_t5 import T5Attention

from hf_embeddings import POSITION_TYPES, PositionSignal, TriEmbedConfig
from hf_embeddings.model.attention import rotate
from hf_embeddings.model.position_biases import alibi_slopes


def make(name: str, **changes):
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, num_attention_heads=4, max_position_embeddings=300)
    return POSITION_TYPES[name](TriEmbedConfig(**sizes | changes | {"position_embedding_type": name}))


def test_sinusoidal() -> None:
    table = make("sinusoidal")(torch.arange(50)[None]).summand[0]
    for p in range(50):
        for i in range(16):
            angle = p / 10000 ** (2 * i / 32)
            assert table[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=2e-6)
            assert table[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=2e-6)


def test_learned() -> None:
    module = make("learned")
    assert torch.equal(module(torch.tensor([[3, 0]])).summand[0], module.table.weight[[3, 0]])


def test_rope_is_a_rotation_of_pairs_and_sees_differences_only() -> None:
    rotation = make("rope")(torch.arange(40)[None]).rotation
    vector = torch.randn(8)
    turned = rotate(vector.expand(1, 40, 1, 8), rotation)[0, :, 0]
    for p in range(40):
        for i in range(4):
            angle = p * 10000 ** (-2 * i / 8)
            pair = complex(vector[i], vector[i + 4]) * complex(math.cos(angle), math.sin(angle))
            assert turned[p, i].item() == pytest.approx(pair.real, abs=1e-5)
            assert turned[p, i + 4].item() == pytest.approx(pair.imag, abs=1e-5)
    scores = turned @ turned.T
    torch.testing.assert_close(scores[:-1, :-1], scores[1:, 1:], atol=1e-4, rtol=1e-4)


def test_alibi() -> None:
    assert alibi_slopes(8) == [2.0**-h for h in range(1, 9)]
    assert alibi_slopes(12)[8:] == pytest.approx([2 ** -(0.5 + h) for h in range(4)])
    bias = make("alibi")(torch.arange(6)[None]).bias[0]
    for h, slope in enumerate(alibi_slopes(4)):
        for i in range(6):
            for j in range(6):
                assert bias[h, i, j].item() == pytest.approx(-slope * abs(i - j))


def test_asymmetric_alibi() -> None:
    bias = make("alibi_asymmetric")(torch.arange(6)[None]).bias[0]
    slopes = alibi_slopes(4)
    for h in range(4):
        for i in range(6):
            for j in range(6):
                slope = slopes[h] if j < i else slopes[3 - h]
                assert bias[h, i, j].item() == pytest.approx(-slope * abs(i - j), rel=1e-5)


def test_relative_bias_uses_the_buckets_of_t5() -> None:
    offsets = torch.arange(-250, 251)
    ours = make("relative_bias").buckets(offsets)
    theirs = T5Attention._relative_position_bucket(offsets, bidirectional=True, num_buckets=32, max_distance=128)
    assert torch.equal(ours, theirs)
    module = make("relative_bias")
    bias = module(torch.arange(9)[None]).bias[0]
    for i in range(9):
        for j in range(9):
            bucket = module.buckets(torch.tensor(j - i))
            assert torch.equal(bias[:, i, j], module.table.weight[bucket])


def test_none_contributes_nothing() -> None:
    assert make("none")(torch.arange(3)[None]) == PositionSignal()
