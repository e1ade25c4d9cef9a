"""Laws of position types that hold whatever the numbers: shifts, rotations, distances, buckets, padding, precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5Attention

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.attention import rotate
from hf_embeddings.model.positions import Positions

SIZES = dict(
    vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
SHIFT_BLIND = [
    "rope", "hope", "alibi", "alibi_asymmetric", "kerple", "relative_bias", "relative_key", "relative_key_query",
    "disentangled", "cosine_bias", "cable", "dual_triangle", "bipe", "rope+alibi",
]  # fmt: skip
FEW = settings(max_examples=15, deadline=None)


def make(position: str, **changes) -> TriEmbedModel:
    torch.manual_seed(0)
    model = TriEmbedModel(TriEmbedConfig(**SIZES | {"position_embedding_type": position} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def positions(position: str, **changes) -> Positions:
    return Positions(TriEmbedConfig(**SIZES | {"position_embedding_type": position} | changes))


def signal_of(position: str, ids: torch.Tensor):
    return positions(position).double()(ids, torch.float64)


@FEW
@given(order=st.permutations(range(9)))
def test_without_positions_a_permutation_of_the_input_is_one_of_the_output(order: list[int]) -> None:
    model = make("none").double()
    ids = torch.arange(1, 10)[None]
    with torch.no_grad():
        straight, turned = model(ids).last_hidden_state[0], model(ids[:, order]).last_hidden_state[0]
    torch.testing.assert_close(turned, straight[order], atol=1e-12, rtol=0)


@pytest.mark.parametrize("position", SHIFT_BLIND)
@FEW
@given(shift=st.integers(0, 10**6))
def test_only_differences_of_positions_count(position: str, shift: int) -> None:
    model = make(position).double()
    ids, place = torch.arange(1, 13)[None], torch.arange(12)[None]
    with torch.no_grad():
        expected = model(ids, position_ids=place).last_hidden_state
        shifted = model(ids, position_ids=place + shift).last_hidden_state
    # An fp64 angle of 10^6 is off by 10^-10 at most.
    torch.testing.assert_close(shifted, expected, atol=1e-12 * (1 + shift / 10), rtol=0)


def test_absolute_types_do_not_only_see_differences() -> None:
    for position in sorted(set(POSITION_TYPES) - set(SHIFT_BLIND) - {"none", "fire"}):
        model = make(position)
        ids, place = torch.arange(1, 13)[None], torch.arange(12)[None]
        with torch.no_grad():
            moved = (
                model(ids, position_ids=place + 5).last_hidden_state - model(ids, position_ids=place).last_hidden_state
            )
        assert moved.abs().max() > 1e-4, position


@FEW
@given(a=st.integers(0, 500), b=st.integers(0, 500))
def test_rotations_keep_norms_and_add_up(a: int, b: int) -> None:
    states = torch.randn(1, 1, 4, 8, dtype=torch.float64)

    def turned(states: torch.Tensor, p: int) -> torch.Tensor:
        return rotate(states, signal_of("rope", torch.tensor([[p]])).rotation)

    torch.testing.assert_close(turned(states, a).norm(dim=-1), states.norm(dim=-1), atol=1e-12, rtol=0)
    assert torch.equal(turned(states, 0), states)
    torch.testing.assert_close(turned(turned(states, a), b), turned(states, a + b), atol=1e-11, rtol=0)


def test_fp32_angles_hold_their_error() -> None:
    query, key = torch.randn(2, 1, 1, 4, 64)
    exact = positions("rope", hidden_size=256)
    for shift, error in ((100, 1e-4), (10_000, 1e-2)):
        scores = []
        for place in (0, shift):
            ids = torch.tensor([[place + 3, place]])
            cos, sin = exact(ids).rotation
            turned = (rotate(states, (cos[:, i : i + 1], sin[:, i : i + 1])) for i, states in enumerate((query, key)))
            left, right = turned
            scores.append((left * right).sum(-1))
        assert (scores[1] - scores[0]).abs().max() < error


@FEW
@given(length=st.integers(2, 300))
def test_alibi_and_kerple_fall_with_distance_on_both_sides(length: int) -> None:
    for position in ("alibi", "kerple"):
        bias = signal_of(position, torch.arange(length)[None]).bias[0]
        assert torch.equal(bias, bias.transpose(-1, -2)) and (bias.diagonal(dim1=-2, dim2=-1) == 0).all()
        assert (bias[:, 0].diff(dim=-1) < 0).all()
        assert torch.equal(bias[:, 1:, 1:], bias[:, :-1, :-1])


@FEW
@given(shift=st.integers(1, 300), place=st.integers(0, 1000))
def test_sinusoids_move_by_one_orthogonal_map(shift: int, place: int) -> None:
    ids = torch.tensor([[place, place + shift]])
    here, there = signal_of("sinusoidal", ids).summand[0]
    frequencies = 10_000 ** (-torch.arange(0, 32, 2, dtype=torch.float64) / 32)
    cos, sin = (frequencies * shift).cos(), (frequencies * shift).sin()
    moved = torch.stack((here[0::2] * cos + here[1::2] * sin, here[1::2] * cos - here[0::2] * sin), dim=-1).flatten()
    torch.testing.assert_close(moved, there, atol=1e-12, rtol=0)
    torch.testing.assert_close(here.norm(), there.norm(), atol=1e-12, rtol=0)


def test_a_learned_row_belongs_to_its_position_alone() -> None:
    model = make("learned")
    ids = torch.arange(1, 13)[None]
    before = model.embedding_parts(ids).position.clone()
    with torch.no_grad():
        model.get_position_embeddings().weight[5] += 1
    changed = (model.embedding_parts(ids).position != before).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [5]


def test_buckets_are_monotone_and_clipped() -> None:
    distances = torch.arange(-600, 601)
    t5 = positions("relative_bias")["relative_bias"].buckets(distances)
    left, right = t5[:601].flip(0), t5[601:]
    assert (left.diff() >= 0).all() and (right.diff() >= 0).all() and left[-1] == 15 and right[-1] == 31
    deberta = positions("disentangled", max_position_embeddings=512)["disentangled"].number(distances)
    assert (deberta.diff() >= 0).all() and deberta[0] == 0 and deberta[-1] == 511 and deberta[600] == 256


def test_relative_bias_equals_t5() -> None:
    torch.manual_seed(0)
    reference = T5Attention(T5Config(d_model=32, d_kv=8, num_heads=4), has_relative_attention_bias=True)
    ours = positions("relative_bias")
    with torch.no_grad():
        ours["relative_bias"].table.weight.copy_(reference.relative_attention_bias.weight)
    expected = reference.compute_bias(200, 200)
    torch.testing.assert_close(ours(torch.arange(200)[None]).bias, expected, atol=0, rtol=0)


@pytest.mark.parametrize("position", [*POSITION_TYPES, "learned+relative_bias"])
@FEW
@given(left=st.integers(0, 9), right=st.integers(0, 9), junk=st.integers(1, 98))
def test_neither_content_nor_amount_of_padding_counts(position: str, left: int, right: int, junk: int) -> None:
    model = make(position).double()
    ids = torch.arange(1, 13)[None]
    padded = torch.cat((torch.full((1, left), junk), ids, torch.full((1, right), junk)), dim=1)
    mask = torch.cat((torch.zeros(1, left), torch.ones(1, 12), torch.zeros(1, right)), dim=1).long()
    both, nothing = torch.cat((padded, padded)), torch.cat((mask, torch.zeros_like(mask)))
    with torch.no_grad():
        expected = model(ids).last_hidden_state
        found = model(both, attention_mask=nothing).last_hidden_state
    torch.testing.assert_close(found[:1, left : left + 12], expected, atol=1e-12, rtol=0)
    assert found.isfinite().all()  # a row of nothing but padding included


@pytest.mark.parametrize("position", [*POSITION_TYPES, "learned+relative_bias", "rope+alibi"])
def test_bf16_kernels_err_no_more_than_twice_eager(position: str) -> None:
    model = make(position)
    ids = torch.arange(1, 31)[None] % 90 + 1
    bounds = torch.tensor([0, 13, 30])
    with torch.no_grad():
        exact = torch.cat([model.double()(part).last_hidden_state for part in ids.split([13, 17], dim=1)], dim=1)
        model.to(torch.bfloat16)
        errors = {}
        for kernel in ("eager", "sdpa"):
            model.set_attn_implementation(kernel)
            packed = model(ids, cu_seq_lens_q=bounds).last_hidden_state.double()
            padded = torch.cat([model(part).last_hidden_state for part in ids.split([13, 17], dim=1)], dim=1).double()
            errors[kernel] = [(found - exact).square().mean().sqrt() for found in (packed, padded)]
    assert max(errors["sdpa"]) <= 2 * min(errors["eager"]), errors


@pytest.mark.parametrize("position", POSITION_TYPES)
def test_loading_in_bf16_costs_positions_only_the_rounding_of_their_tables(position: str, tmp_path) -> None:
    model = make(position)
    model.save_pretrained(tmp_path)
    again = TriEmbedModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    ids = torch.arange(40)[None]
    before, after = (m.embeddings.position(ids, m.embeddings.dtype) for m in (model, again))
    for old, new in zip(before, after, strict=True):
        old, new = ((part,) if isinstance(part, torch.Tensor) else part for part in (old, new))
        for one, other in zip(old or (), new or (), strict=True):
            if isinstance(one, torch.Tensor):
                scale = one.float().abs().max().clamp(min=1.0)
                assert (one.float() - other.float()).abs().max() <= 0.02 * scale, position
    if position in ("rope", "hope"):
        assert torch.equal(before.rotation[0], after.rotation[0])
    for name, parameter in again.named_parameters():
        assert ("log_frequencies" in name) == (parameter.dtype == torch.float32), name
