"""The input of the encoder: token + position + segment, then norm and dropout.

Shapes: B batch, S sequence, D hidden, E width of the sum (D unless `embedding_size` says otherwise), T of the token
table (E, or `embedding_size` where only this table is factorised).
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from .configuration_triembed import TriEmbedConfig
from .norms import make_norm
from .position_signal import PositionSignal, dtype_of, position_dtype
from .positions import Positions


class EmbeddingParts(NamedTuple):
    """The three summands of the input; None where the architecture leaves one out."""

    token: torch.Tensor  # (B, S, E)
    position: torch.Tensor | None  # (1|B, S, E)
    segment: torch.Tensor | None  # (B, S, E)


class Embeddings(nn.Module):
    """Sum token, position and segment embeddings; hold the position types of the whole model."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__()
        width, sum_width = config.embedding_size or config.hidden_size, config.input_size
        self.token = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.position = Positions(config)
        self.segment = nn.Embedding(config.type_vocab_size, sum_width) if config.type_vocab_size else None
        self.scale = math.sqrt(sum_width) if config.embedding_scale else 1.0
        self.norm = make_norm(config, sum_width) if config.embedding_norm else nn.Identity()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.maps_tokens = config.factorised_embeddings == "token"
        has_projection = width != config.hidden_size
        self.projection = (
            nn.Linear(width, config.hidden_size, bias=not self.maps_tokens) if has_projection else nn.Identity()
        )

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        *,
        signal: PositionSignal,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the hidden states (B, S, D) that enter the first layer."""
        token, position, segment = self.parts(input_ids, token_type_ids, signal=signal, inputs_embeds=inputs_embeds)
        # Summed in BERT's order, token + segment + position, so that fp32 results agree to the last bit.
        hidden = token if segment is None else token + segment
        hidden = hidden if position is None else hidden + position
        hidden = self.dropout(self.norm(hidden))
        return hidden if self.maps_tokens else self.projection(hidden)

    def parts(
        self,
        input_ids: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        *,
        signal: PositionSignal,
        inputs_embeds: torch.Tensor | None = None,
    ) -> EmbeddingParts:
        """Return the three summands apart, before norm and dropout.

        `inputs_embeds` (B, S, T) stands for rows of the token table, so `embedding_scale` applies to it too.
        """
        token = self.token(input_ids) if inputs_embeds is None else inputs_embeds
        token = (self.projection(token) if self.maps_tokens else token) * self.scale
        position = None if signal.summand is None else signal.summand.to(token.dtype)
        return EmbeddingParts(token, position, self._segment(token, token_type_ids))

    @property
    def dtype(self) -> torch.dtype:
        """Return the dtype in which positions are computed: that of the tables, and fp32 at least."""
        return position_dtype(dtype_of(self))

    def _segment(self, token: torch.Tensor, token_type_ids: torch.Tensor | None) -> torch.Tensor | None:
        if self.segment is None:
            if token_type_ids is not None:
                raise ValueError(
                    "token_type_ids: given, but type_vocab_size is 0; leave them out, or set the tokenizer's "
                    "model_input_names to ['input_ids', 'attention_mask']"
                )
            return None
        if token_type_ids is None:
            token_type_ids = torch.zeros(token.shape[:2], dtype=torch.long, device=token.device)
        return self.segment(token_type_ids)
