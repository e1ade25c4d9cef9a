"""RoPE in every kind that transformers has, against transformers' own modules; locality, lengths and contradictions."""

import pytest
import torch
from transformers import LlamaConfig, ModernBertConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.modernbert.modeling_modernbert import ModernBertRotaryEmbedding

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.positions import Positions

SIZES = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=3, max_position_embeddings=64)
LOCAL = ["full_attention", "sliding_attention", "full_attention"]
KINDS = {
    "default": {},
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
    "longrope": {
        "short_factor": [1.0 + i / 8 for i in range(8)],
        "long_factor": [2.0 + i / 2 for i in range(8)],
        "original_max_position_embeddings": 32,
        "factor": 2.0,
    },
    "llama3": {
        "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
    },
}  # fmt: skip


def make(parameters: dict, **changes) -> Positions:
    return Positions(
        TriEmbedConfig(**SIZES | {"position_embedding_type": "rope", "rope_parameters": parameters} | changes)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [20, 100])
def test_equals_transformers(kind: str, length: int) -> None:
    parameters = {"rope_type": kind, "rope_theta": 500.0} | KINDS[kind]
    reference = LlamaRotaryEmbedding(LlamaConfig(**SIZES, rope_parameters=dict(parameters)))
    ids = torch.arange(length)[None]
    expected = reference(torch.zeros(1), ids)
    for ours, theirs in zip(make(parameters)(ids).rotation, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_local_and_global_layers_turn_at_their_own_speed() -> None:
    nested = {
        "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
        "sliding_attention": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0},
    }
    ids = torch.arange(30)[None]
    signal = make(nested, layer_types=LOCAL, sliding_window=4)(ids)
    reference = ModernBertRotaryEmbedding(
        ModernBertConfig(**SIZES, layer_types=LOCAL, rope_parameters={name: dict(p) for name, p in nested.items()})
    )
    for rotation, name in ((signal.rotation, "full_attention"), (signal.local_rotation, "sliding_attention")):
        for ours, theirs in zip(rotation, reference(torch.zeros(1), ids, name), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    still = make(nested | {"full_attention": None}, layer_types=LOCAL, sliding_window=4)(ids)
    assert still.rotation is None and still.local_rotation is not None


def test_partial_rotation_leaves_the_rest_alone() -> None:
    cos, sin = make({"rope_type": "default", "partial_rotary_factor": 0.5})(torch.arange(5)[None]).rotation
    assert cos.shape == sin.shape == (1, 5, 8)
    proportional = make({"rope_type": "proportional", "partial_rotary_factor": 0.5})(torch.arange(5)[None]).rotation
    assert proportional[0].shape == (1, 5, 16)
    assert torch.equal(proportional[0][..., 4:8], torch.ones(1, 5, 4))


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_neighbours_in_the_batch_do_not_change_the_frequencies(kind: str) -> None:
    torch.manual_seed(0)
    config = TriEmbedConfig(
        **SIZES, vocab_size=50, position_embedding_type="rope", rope_parameters={"rope_type": kind} | KINDS[kind]
    )
    model = TriEmbedModel(config).eval()
    ids = torch.randint(1, 50, (3, 100))
    mask = torch.ones_like(ids)
    mask[1, 20:], mask[2, :70] = 0, 0
    with torch.no_grad():
        together = model(ids, attention_mask=mask).last_hidden_state
        for row, keep in enumerate(mask.bool()):
            alone = model(ids[row : row + 1, keep]).last_hidden_state[0]
            torch.testing.assert_close(together[row, keep], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"rope_type": "spiral"}, "got rope_type 'spiral', expected one of default, linear"),
        ({"rope_type": "linear"}, "rope_type 'linear' needs factor"),
        ({"rope_type": "default", "partial_rotary_factor": 0.2}, "is 3, which is odd"),
        ({"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}, "short_factor has 1 entries"),
        ({"full_attention": {"rope_type": "default"}}, "'sliding_attention' is missing"),
    ],
)
def test_refused_in_one_line(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        make(parameters, layer_types=LOCAL, sliding_window=4)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_bf16_does_not_touch_the_angles() -> None:
    config = TriEmbedConfig(**SIZES, position_embedding_type="rope")
    model = TriEmbedModel(config)
    ids = torch.arange(1000)[None]
    before = model.embeddings.position(ids, model.embeddings.dtype).rotation
    model.to(torch.bfloat16)
    after = model.embeddings.position(ids, model.embeddings.dtype).rotation
    assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(before, after, strict=True))
