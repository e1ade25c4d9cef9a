"""PyTorch's fused attention on CPU, kept fast where PyTorch alone is slow: bf16 training, trained and steep biases.

Shapes: B batch, H heads, S sequence, K head width.
"""

import torch
from torch import nn
from torch.autograd.function import FunctionCtx

from .recording import gradients_of, is_traced, is_transformed

CHUNK_ELEMENTS = 1 << 21  # scores that a backward pass holds at a time: 8 MB, about what a core caches


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
    a mask that needs a gradient has a backward pass here, as PyTorch's kernel has none and would not be used.
    """
    dtype = value.dtype
    if computes_exactly(value):
        query, key, value = query.float(), key.float(), value.float()
    is_trained = False
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
        is_trained = mask.requires_grad
    with torch.autocast(value.device.type, enabled=False):
        if is_trained and dropout == 0.0 and _serves(query):
            context = _BiasedAttention.apply(query, key, value, mask, scaling)
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


class _BiasedContext(FunctionCtx):
    saved_tensors: tuple[torch.Tensor, ...]
    scaling: float


class _BiasedAttention(torch.autograd.Function):
    """Softmax attention with a bias that is trained: the fused kernel forward, chunks of heads backward."""

    @staticmethod
    def forward(
        ctx: _BiasedContext,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=bias, scale=scaling
        )
        ctx.save_for_backward(query, key, value, bias, out, lse)
        ctx.scaling = scaling
        return out

    @staticmethod
    def backward(ctx: _BiasedContext, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, bias, out, lse = ctx.saved_tensors
        if torch.is_grad_enabled():
            weights = (query @ key.transpose(-1, -2) * ctx.scaling + bias).softmax(dim=-1)
            return *gradients_of(weights @ value, (query, key, value, bias), gradient), None
        batch, heads, length, _ = query.shape
        of_query, of_key, of_value = (torch.empty_like(states) for states in (query, key, value))
        of_bias = torch.zeros_like(bias)
        delta = (gradient * out).sum(dim=-1, keepdim=True)  # (B, H, S, 1)
        step = max(1, CHUNK_ELEMENTS // (length * length))
        for b in range(batch):
            row = b if bias.shape[0] > 1 else 0
            for first in range(0, heads, step):
                chunk = slice(first, first + step)
                q, k, v, g = (states[b, chunk] for states in (query, key, value, gradient))  # (h, S, K)
                bias_part = bias[row, chunk if bias.shape[1] > 1 else slice(None)]
                weights = torch.baddbmm(bias_part, q, k.transpose(1, 2), alpha=ctx.scaling)
                weights = weights.sub_(lse[b, chunk, :, None]).exp_()  # (h, S, S)
                of_value[b, chunk] = weights.transpose(1, 2) @ g
                of_scores = (g @ v.transpose(1, 2)).sub_(delta[b, chunk]).mul_(weights)
                of_query[b, chunk] = (of_scores @ k).mul_(ctx.scaling)
                of_key[b, chunk] = (of_scores.transpose(1, 2) @ q).mul_(ctx.scaling)
                target = of_bias[row, chunk if bias.shape[1] > 1 else slice(None)]
                target += of_scores.sum_to_size(target.shape)
        return of_query, of_key, of_value, of_bias, None
