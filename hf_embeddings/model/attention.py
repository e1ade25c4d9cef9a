"""Self-attention through transformers' attention interface: one path for every kernel and every position type.

Shapes: B batch, S sequence, D hidden, H heads, K head width.
"""

from typing import Any

import torch
from torch import nn

from .compat import attention_function
from .configuration_triembed import TriEmbedConfig
from .fused_attention import computes_exactly, fused_attention, trains_on_cpu
from .kernels import add_bias
from .packing import Packing, packed_attention
from .position_signal import PositionSignal
from .positions import LayerPositions

NO_SIGNAL = PositionSignal()


class Attention(nn.Module):
    """Multi-head self-attention over the whole sequence, or over a window to both sides."""

    is_causal = False

    def __init__(self, config: TriEmbedConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = config.hidden_size // config.num_attention_heads
        # DeBERTa and TUPE scale query times key and the products that they add to it by one common root.
        terms = 1 + sum(part.score_terms(config) for part in config.position_classes.values())
        self.scaling = (self.head_dim * terms) ** -0.5
        self.attention_dropout = config.attention_probs_dropout_prob
        sliding = config.layer_types is not None and config.layer_types[layer_idx] == "sliding_attention"
        self.sliding_window = config.sliding_window if sliding else None
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
        self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
        self.value = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
        self.position = LayerPositions(config)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        signal: PositionSignal = NO_SIGNAL,
        packing: Packing | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Map (B, S, D) to (B, S, D) and, where the kernel computes them, attention weights (B, H, S, S).

        `signal.bias` holds what the mask does not hold already (see `add_bias`). With a `packing`, the B * S tokens are
        documents that do not see each other.
        """
        heads = (*hidden_states.shape[:-1], -1, self.head_dim)
        query = self.query(hidden_states).view(heads)  # (B, S, H, K)
        key = self.key(hidden_states).view(heads)
        value = self.value(hidden_states).view(heads)
        content_heads = (query, key, *self.position.of_tokens(hidden_states)) if len(self.position) else None
        rotation = signal.rotation if self.sliding_window is None else signal.local_rotation
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        if signal.fold is not None:
            query, key, value = fold(query, key, value, signal.fold, scaling=self.scaling)
        dropout = self.attention_dropout if self.training else 0.0
        if packing is not None:
            plain = None if content_heads is None else tuple(states.flatten(0, 1) for states in content_heads)
            query, key, value = (states.flatten(0, 1) for states in (query, key, value))
            context = packed_attention(self, query, key, value, packing, content_heads=plain, dropout=dropout)
            return self._project(context, hidden_states, signal), None
        query, key, value = (states.transpose(1, 2) for states in (query, key, value))  # (B, H, S, K)
        if content_heads is not None:
            scores = self.content_scores(*(states.transpose(1, 2) for states in content_heads), content=signal.content)
            signal, attention_mask = add_bias(self.config, signal, attention_mask, scores, batch=query.shape[0])
        if signal.bias is not None:
            kwargs["position_bias"] = signal.bias
        if self.config._attn_implementation == "sdpa" and trains_on_cpu(query):
            context = fused_attention(query, key, value, attention_mask, dropout=dropout, scaling=self.scaling)
            return self._project(context.transpose(1, 2), hidden_states, signal), None
        attend = attention_function(self.config._attn_implementation, eager_attention)
        context, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=self.scaling,
            sliding_window=self.sliding_window,
            **kwargs,
        )
        return self._project(context, hidden_states, signal), weights

    def _project(self, context: torch.Tensor, hidden_states: torch.Tensor, signal: PositionSignal) -> torch.Tensor:
        """Map (..., H, K), or the (..., H * K) of serving engines, to (B, S, D); a fold has widened K."""
        context = context if signal.fold is None else context[..., : self.head_dim]
        return self.out(context.reshape(*hidden_states.shape[:-1], -1))

    def content_scores(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        *of_tokens: torch.Tensor,
        content: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return what position types add to the scaled scores of (B, H, S, K) query and key: (B, H, S, S)."""
        if computes_exactly(query):
            query, key = query.float(), key.float()
        with torch.autocast(query.device.type, enabled=False):
            return self.position(query * self.scaling, key * self.scaling, content, self, of_tokens)


def eager_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend in plain tensor operations; the reference that every kernel is tested against."""
    scores = query @ key.transpose(-1, -2) * scaling  # (B, H, S, S)
    if attention_mask is not None and attention_mask.dtype == torch.bool:  # a 4D mask that the caller gave
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    elif attention_mask is not None:
        scores = scores + attention_mask
    exact = torch.promote_types(query.dtype, torch.float32)
    weights = nn.functional.softmax(scores, dim=-1, dtype=exact).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def fold(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    extra: tuple[torch.Tensor, torch.Tensor],
    *,
    scaling: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Append (1|B, S, H, E) to (B, S, H, K) query and key, so that their product is added to the scaled scores.

    Values are padded to the same width, and the width to a multiple of 8, as fused kernels want it.
    """
    width = query.shape[-1] + extra[0].shape[-1]
    padding = -width % 8
    of_query, of_key = (
        nn.functional.pad(part.to(query.dtype), (0, padding)).expand(*query.shape[:-1], -1)
        for part in (extra[0] / scaling, extra[1])
    )
    value = nn.functional.pad(value, (0, width + padding - value.shape[-1]))
    return torch.cat((query, of_query), dim=-1), torch.cat((key, of_key), dim=-1), value


def rotate(states: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Turn each pair (i, i + R/2) of (B, S, H, K) by its angle, in fp32 at least; dimensions from R on pass through."""
    cos, sin = (part[:, :, None] for part in rotation)  # (1|B, S, 1, R)
    width = cos.shape[-1]
    exact = states[..., :width].to(torch.promote_types(states.dtype, torch.float32))
    first, second = exact.chunk(2, dim=-1)
    turned_states = exact * cos.to(exact.dtype) + torch.cat((-second, first), dim=-1) * sin.to(exact.dtype)
    turned_states = turned_states.to(states.dtype)
    return turned_states if width == states.shape[-1] else torch.cat((turned_states, states[..., width:]), dim=-1)
