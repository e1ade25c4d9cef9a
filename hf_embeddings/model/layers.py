"""Encoder layers: attention and feed-forward, each with a residual path, normalised after it or before it.

Shapes: B batch, S sequence, D hidden, F intermediate.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import NO_SIGNAL, Attention
from .configuration_triembed import TriEmbedConfig
from .norms import make_norm
from .position_signal import PositionSignal


def _down_bias(config: TriEmbedConfig) -> bool:
    return config.mlp_bias if config.mlp_down_bias is None else config.mlp_down_bias


class PlainFeedForward(nn.Module):
    """down(act(up(x))), as in the original Transformer."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.mlp_bias)
        self.activation = ACT2FN[config.hidden_act]
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=_down_bias(config))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        return self.down(self.activation(self.up(hidden_states)))


class GatedFeedForward(nn.Module):
    """down(act(gate(x)) * up(x)), a gated linear unit (https://arxiv.org/abs/2002.05202)."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.mlp_bias)
        self.up = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.mlp_bias)
        self.activation = ACT2FN[config.hidden_act]
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=_down_bias(config))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        return self.down(self.activation(self.gate(hidden_states)) * self.up(hidden_states))


class Layer(GradientCheckpointingLayer):
    """Parts shared by both norm positions; a subclass says in which order they run."""

    def __init__(self, config: TriEmbedConfig, layer_idx: int) -> None:
        super().__init__()
        self.attention = Attention(config, layer_idx)
        self.attention_norm = make_norm(config, config.hidden_size)
        self.feed_forward = FEED_FORWARD_TYPES[config.feed_forward_type](config)
        self.feed_forward_norm = make_norm(config, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.chunk_size_feed_forward = config.chunk_size_feed_forward

    def transform(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Apply the feed-forward to (B, S, D), to `chunk_size_feed_forward` tokens of each row at a time."""
        if not self.chunk_size_feed_forward:
            return self.feed_forward(hidden_states)
        chunks = hidden_states.split(self.chunk_size_feed_forward, dim=1)
        return torch.cat([self.feed_forward(chunk) for chunk in chunks], dim=1)


class PostNormLayer(Layer):
    """norm(x + f(x)): BERT."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        signal: PositionSignal = NO_SIGNAL,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        context, _ = self.attention(hidden_states, attention_mask, signal, **kwargs)
        hidden_states = self.attention_norm(self.dropout(context) + hidden_states)
        return self.feed_forward_norm(self.dropout(self.transform(hidden_states)) + hidden_states)


class PreNormLayer(Layer):
    """x + f(norm(x)): ModernBERT; the model adds a final norm."""

    def __init__(self, config: TriEmbedConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        if config.skip_first_norm and layer_idx == 0:
            self.attention_norm = nn.Identity()

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        signal: PositionSignal = NO_SIGNAL,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        attention_input = self.attention_norm(hidden_states)
        context, _ = self.attention(attention_input, attention_mask, signal, **kwargs)
        hidden_states = hidden_states + self.dropout(context)
        return hidden_states + self.dropout(self.transform(self.feed_forward_norm(hidden_states)))


FEED_FORWARD_TYPES = {"plain": PlainFeedForward, "gated": GatedFeedForward}
NORM_POSITIONS = {"post": PostNormLayer, "pre": PreNormLayer}


def check_recomputable(recompute: Callable[..., Any], *shared_values: object) -> None:
    """Refuse a reentrant recomputation of layers that share a tensor with a gradient.

    It sees only tensors that are arguments of their own; others it would go back through once for each layer.
    """
    if not getattr(recompute, "keywords", {}).get("use_reentrant"):
        return
    if any(isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in tree_leaves(shared_values)):
        raise ValueError(
            "gradient_checkpointing: got use_reentrant=True, which cannot train what the position type shares between "
            "layers; give gradient_checkpointing_kwargs={'use_reentrant': False}"
        )
