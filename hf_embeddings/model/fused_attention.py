"""PyTorch's fused attention on CPU, kept fast where PyTorch alone is slow: bf16 training, dropout, trained biases.

Shapes: B batch, H heads, S sequence, K head width; a chunk has b rows and h heads.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.function import FunctionCtx

from .recording import gradients_of, is_traced, is_transformed

CHUNK_ELEMENTS = 1 << 19  # scores that a pass holds at a time: 2 MB, about what a core caches


def fused_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    dropout: float,
    scaling: float,
) -> torch.Tensor:
    """Attend from (B, H, S, K) query to key and value; the mask is bool, or (1|B, 1|H, 1|S, S) added to the scores.

    On CPU the training core runs in fp32, as the backward pass of the kernel is slower in bf16 for short sequences, and
    a mask that needs a gradient, and dropout, have passes of their own here, as PyTorch's kernel has none for them, and
    would not be used.
    """
    dtype = value.dtype
    if computes_exactly(value):
        query, key, value = query.float(), key.float(), value.float()
    is_trained = False
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
        is_trained = mask.requires_grad
    with torch.autocast(value.device.type, enabled=False):
        if (is_trained or dropout > 0.0) and _serves(query) and query.dtype in (torch.float32, torch.float64):
            if mask is not None and mask.dtype == torch.bool:
                least = torch.finfo(query.dtype).min
                mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, least)
            context = _Attention.apply(query, key, value, mask, scaling, dropout)
        else:
            context = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
            )
    return context.to(dtype)


def trains_on_cpu(states: torch.Tensor) -> bool:
    """Tell whether gradients of (B, H, S, K) states are computed on CPU, and not traced."""
    return torch.is_grad_enabled() and _serves(states)


def computes_exactly(states: torch.Tensor) -> bool:
    """Tell whether attention over (B, H, S, K) states of lower precision is computed in fp32."""
    return states.dtype == torch.bfloat16 and states.device.type == "cpu" and torch.is_grad_enabled()


def keep_normal(bias: torch.Tensor) -> torch.Tensor:
    """Push fp32 biases that leave a weight of less than e^-60 down by another 100, to a weight of 0.

    Weights below e^-87, and their products with small gradients, are denormal numbers, with which a CPU computes many
    times slower: the far keys of ALiBi's steep heads made attention over 512 tokens 2.5 times as slow. The fp32 sum of
    weights cannot tell.
    """
    if bias.dtype != torch.float32 or not _serves(bias) or bias.detach().amin() > -60:
        return bias
    return bias - 100.0 * (bias < bias.detach().amax(dim=-1, keepdim=True) - 60)


def _serves(states: torch.Tensor) -> bool:
    return states.device.type == "cpu" and not is_traced() and not is_transformed()


class _AttentionContext(FunctionCtx):
    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[torch.Tensor, ...]
    scaling: float
    dropout: float
    seed: int


class _Attention(torch.autograd.Function):
    """Softmax attention with a bias that may be trained, and with dropout, in chunks of heads.

    No more than one chunk of scores is held. Which weights dropout leaves follows from a seed, so it is computed again
    in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: _AttentionContext,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        scaling: float,
        dropout: float,
    ) -> torch.Tensor:
        ctx.scaling, ctx.dropout, ctx.seed = scaling, dropout, 0
        if dropout == 0.0:
            out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query, key, value, 0.0, False, attn_mask=bias, scale=scaling
            )
        else:
            ctx.seed = int(torch.empty((), dtype=torch.long).random_())  # of PyTorch's generator, as all dropout
            out, lse = _attend(query, key, value, bias, scaling=scaling, dropout=dropout, seed=ctx.seed)
        saved: list[Any] = [query, key, value, bias, out, lse]  # None is allowed
        ctx.save_for_backward(*saved)
        return out

    @staticmethod
    def backward(ctx: _AttentionContext, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, bias, out, lse = ctx.saved_tensors
        if torch.is_grad_enabled():
            scores = query @ key.transpose(-1, -2) * ctx.scaling
            weights = (scores if bias is None else scores + bias).softmax(dim=-1)
            if ctx.dropout > 0.0:
                weights = weights * _kept_weights(weights, ctx.dropout, ctx.seed) / (1 - ctx.dropout)
            return *gradients_of(weights @ value, (query, key, value, bias), gradient), None, None
        of_query, of_key, of_value = (torch.empty_like(states) for states in (query, key, value))
        of_bias = torch.zeros_like(bias) if ctx.needs_input_grad[3] else None
        delta = (gradient * out).sum(dim=-1, keepdim=True)  # (B, H, S, 1)
        gradient = gradient / (1 - ctx.dropout)
        for chunk, keep in _chunks(query, ctx.dropout, ctx.seed):
            q, k, v, g = (states[chunk] for states in (query, key, value, gradient))  # (b, h, S, K)
            weights = _scores(q, k, bias, chunk, ctx.scaling).sub_(lse[chunk][..., None]).exp_()  # (b, h, S, S)
            of_scores = g @ v.transpose(-1, -2)
            if keep is not None:
                of_scores.mul_(keep)
            of_scores.sub_(delta[chunk]).mul_(weights)
            if keep is not None:
                weights.mul_(keep)
            of_value[chunk] = weights.transpose(-1, -2) @ g
            of_query[chunk] = (of_scores @ k).mul_(ctx.scaling)
            of_key[chunk] = (of_scores.transpose(-1, -2) @ q).mul_(ctx.scaling)
            if of_bias is not None:
                target = _of_chunk(of_bias, chunk)
                target += of_scores.sum_to_size(target.shape)
        return of_query, of_key, of_value, of_bias, None, None


Chunk = tuple[slice, slice]  # rows and heads


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    scaling: float,
    dropout: float,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what attention with dropout makes of (B, H, S, K) values, and the logarithms (B, H, S) of its sums."""
    out, lse = torch.empty_like(value), query.new_empty(query.shape[:-1])
    for chunk, keep in _chunks(query, dropout, seed):
        scores = _scores(query[chunk], key[chunk], bias, chunk, scaling)
        largest = scores.amax(dim=-1, keepdim=True)
        total = scores.sub_(largest).exp_().sum(dim=-1, keepdim=True)
        lse[chunk] = (largest + total.log())[..., 0]
        assert keep is not None, "called where there is dropout"
        out[chunk] = (scores.mul_(keep) @ value[chunk]).div_(total * (1 - dropout))
    return out, lse


def _chunks(states: torch.Tensor, dropout: float, seed: int) -> Iterator[tuple[Chunk, torch.Tensor | None]]:
    """Cut (B, H, S, K) into chunks, each with (b, h, S, S) ones and zeros: which weights dropout leaves; None: all."""
    batch, heads, length, _ = states.shape
    rows = max(1, CHUNK_ELEMENTS // (heads * length * length))
    few = heads if rows > 1 else max(1, CHUNK_ELEMENTS // (length * length))
    generator = torch.Generator().manual_seed(seed)
    for row in range(0, batch, rows):
        for head in range(0, heads, few):
            chunk = (slice(row, min(batch, row + rows)), slice(head, min(heads, head + few)))
            shape = (chunk[0].stop - row, chunk[1].stop - head, length, length)
            yield chunk, None if dropout == 0.0 else _kept(shape, dropout, generator).to(states.dtype)


def _kept(shape: tuple[int, ...], dropout: float, generator: torch.Generator) -> torch.Tensor:
    """Return fp32 ones and zeros, the share `dropout` of them zeros, to the 16th bit.

    A random number of 64 bits decides on four weights: PyTorch's own dropout takes ten times as long.
    """
    count = torch.Size(shape).numel()
    bits = torch.empty(-(-count // 4), dtype=torch.long).random_(-(2**63), None, generator=generator)
    numbers = bits.view(torch.int16)[:count].view(shape)
    return torch.ge(numbers, round(dropout * 2**16) - 2**15, out=torch.empty(shape))


def _kept_weights(weights: torch.Tensor, dropout: float, seed: int) -> torch.Tensor:
    """Return the ones and zeros of all chunks of (B, H, S, S) weights."""
    whole = torch.empty_like(weights)
    for chunk, keep in _chunks(weights, dropout, seed):
        assert keep is not None, "called where there is dropout"
        whole[chunk] = keep
    return whole.detach()


def _scores(
    query: torch.Tensor, key: torch.Tensor, bias: torch.Tensor | None, chunk: Chunk, scaling: float
) -> torch.Tensor:
    scores = (query * scaling) @ key.transpose(-1, -2)
    return scores if bias is None else scores.add_(_of_chunk(bias, chunk))


def _of_chunk(bias: torch.Tensor, chunk: Chunk) -> torch.Tensor:
    """Return the part of (1|B, 1|H, 1|S, S) that a chunk is biased by."""
    rows, heads = (part if size > 1 else slice(None) for part, size in zip(chunk, bias.shape, strict=False))
    return bias[rows, heads]
