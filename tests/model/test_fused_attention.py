"""Attention with dropout equals plain operations with the same weights left out, whatever the mask and the chunks."""

import pytest
import torch

from hf_embeddings.model import fused_attention as module
from hf_embeddings.model.fused_attention import _kept, _kept_weights, fused_attention

B, H, S, K, RATE = 3, 4, 10, 6, 0.3
MASKS = {
    "none": None,
    "padding": (torch.arange(S) < torch.tensor([10, 7, 1])[:, None])[:, None, None],
    "bias": torch.randn(1, H, S, S, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
    "bias of rows": torch.randn(B, 1, 1, S, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
}


@pytest.fixture(params=[1, 300, 1 << 19], ids="chunk_{}".format)
def chunks(request, monkeypatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", request.param)


def states() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(B, S, H, K, dtype=torch.float64).transpose(1, 2).requires_grad_() for _ in range(3)]


def attend(query, key, value, mask) -> torch.Tensor:
    torch.manual_seed(5)
    return fused_attention(query, key, value, mask, dropout=RATE, scaling=0.5)


def plainly(query, key, value, mask) -> torch.Tensor:
    torch.manual_seed(5)
    seed = int(torch.empty((), dtype=torch.long).random_())
    scores = query @ key.transpose(-1, -2) * 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(dim=-1)
    return weights * _kept_weights(weights, RATE, seed) / (1 - RATE) @ value


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_outputs_and_gradients_are_those_of_plain_operations(name: str, trained: bool, chunks) -> None:
    results = []
    for function in (attend, plainly):
        inputs, mask = states(), MASKS[name]
        if trained and mask is not None and mask.dtype != torch.bool:
            mask = mask.clone().requires_grad_()
            inputs.append(mask)
        output = function(*inputs[:3], mask)
        (output * torch.arange(K)).sum().backward()
        results.append([output.detach(), *(tensor.grad for tensor in inputs)])
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_gradient_has_a_gradient() -> None:
    bias = MASKS["bias"].clone().requires_grad_()
    small = [tensor.detach()[:1, :2, :3].requires_grad_() for tensor in states()]
    inputs = (*small, bias.detach()[:, :2, :3, :3].requires_grad_())
    assert torch.autograd.gradcheck(attend, inputs)
    assert torch.autograd.gradgradcheck(attend, inputs)


def test_the_share_is_dropped_and_the_mean_stays() -> None:
    kept = _kept((64, 4, 50, 50), 0.1, torch.Generator().manual_seed(0))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert kept.mean().item() == pytest.approx(0.9, abs=2e-3)
    for dim in range(4):  # no place is dropped more often than others
        rest = [other for other in range(4) if other != dim]
        assert (kept.mean(dim=rest) - 0.9).abs().max() < 0.02


def test_a_seed_decides_and_each_call_drops_others() -> None:
    query, key, value = states()
    assert torch.equal(attend(query, key, value, None), attend(query, key, value, None))
    again = fused_attention(query, key, value, None, dropout=RATE, scaling=0.5)
    assert not torch.equal(again, attend(query, key, value, None))
