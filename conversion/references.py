"""Slow, plain models for layouts that transformers does not run, so that their conversions can be compared too.

Each is transformers' BERT with some modules exchanged, and the formulas written out as their papers have them.

Shapes: B batch, S sequence, D hidden, H heads, K head width, F intermediate.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import BertConfig, PreTrainedModel
from transformers.activations import ACT2FN

from hf_embeddings.conversion.checkpoints import open_checkpoint, read_json


class PlainAttention(nn.Module):
    """BERT's self-attention, to whose scores a subclass adds something."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads, self.width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(config.hidden_size, config.hidden_size) for _ in range(3))

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *further: object, **named: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, S, D) to (B, S, D) and the weights (B, H, S, S)."""
        batch, length, _ = hidden_states.shape
        query, key, value = (
            layer(hidden_states).view(batch, length, self.heads, self.width).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = self.scores(query, key)
        weights = (scores if attention_mask is None else scores + attention_mask).softmax(dim=-1)
        return (weights @ value).transpose(1, 2).reshape(batch, length, -1), weights

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S)."""
        return query @ key.transpose(-1, -2) / math.sqrt(self.width)


class RelativeKeyAttention(PlainAttention):
    """Scores q_i . (k_j + a_(i-j)), and for `relative_key_query` also k_j . a_(i-j) (arXiv 1803.02155, 2009.13658)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.furthest, self.kind = config.max_position_embeddings - 1, config.position_embedding_type
        self.distance_embedding = nn.Embedding(2 * config.max_position_embeddings - 1, self.width)

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S)."""
        places = torch.arange(query.shape[2])
        vectors = self.distance_embedding(places[:, None] - places[None, :] + self.furthest)  # (S, S, K)
        scores = query @ key.transpose(-1, -2) + torch.einsum("bhik,ijk->bhij", query, vectors)
        if self.kind == "relative_key_query":
            scores = scores + torch.einsum("bhjk,ijk->bhij", key, vectors)
        return scores / math.sqrt(self.width)


class AlibiAttention(PlainAttention):
    """Scores lowered by m_h |i - j|, with the slopes of the ALiBi paper (arXiv 2108.12409)."""

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S)."""
        places = torch.arange(query.shape[2])
        distances = (places[:, None] - places[None, :]).abs()
        return super().scores(query, key) - torch.tensor(_slopes(self.heads))[:, None, None] * distances


class GatedUp(nn.Module):
    """act(first half) * second half of one linear map to 2 F, as MosaicBERT and jina's BERT have it."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, S, F)."""
        gate, up = self.gated_layers(hidden_states).chunk(2, dim=-1)
        return self.activation(gate) * up


def relative_key_bert(architecture: str, folder: Path) -> PreTrainedModel:
    """Load a BERT with `position_embedding_type` "relative_key" or "relative_key_query" of transformers 4."""
    return _load(architecture, folder, RelativeKeyAttention, None, {})


def jina_bert(architecture: str, folder: Path) -> PreTrainedModel:
    """Load a BERT with ALiBi and a gated feed-forward, in the layout of jina-embeddings-v2."""
    return _load(architecture, folder, AlibiAttention, GatedUp, JINA_NAMES)


JINA_NAMES = {
    ".mlp.gated_layers.": ".intermediate.gated_layers.",
    ".mlp.wo.": ".output.dense.",
    ".mlp.layernorm.": ".output.LayerNorm.",
}


def build(
    architecture: str, config: BertConfig, attention: type[nn.Module], up: type[nn.Module] | None, *, pooler: bool
) -> PreTrainedModel:
    """Return transformers' BERT with other attention and feed-forward, and without positions in its input."""
    bare = {"add_pooling_layer": pooler} if architecture == "BertModel" else {}
    model = getattr(transformers, architecture)(config, **bare)
    encoder = getattr(model, "bert", model)
    nn.init.zeros_(encoder.embeddings.position_embeddings.weight)
    for layer in encoder.encoder.layer:
        layer.attention.self = attention(config)
        layer.intermediate = layer.intermediate if up is None else up(config)
    return model.eval()


def _load(
    architecture: str,
    folder: Path,
    attention: type[nn.Module],
    up: type[nn.Module] | None,
    names: Mapping[str, str],
) -> PreTrainedModel:
    config = BertConfig(**{k: v for k, v in read_json(folder / "config.json").items() if k != "auto_map"})
    config._attn_implementation = "eager"
    checkpoint = open_checkpoint(folder, allow_pickle=True)
    weights = {}
    for stored in checkpoint.tensors:
        name = stored if architecture != "BertModel" else stored.removeprefix("bert.")
        for there, here in names.items():
            name = name.replace(there, here)
        weights[name] = checkpoint.read(stored).float()
    model = build(architecture, config, attention, up, pooler=any(name.startswith("pooler.") for name in weights))
    weights = {name: tensor for name, tensor in weights.items() if "position" not in name}
    lost = model.load_state_dict(weights, strict=False)
    missing = [name for name in lost.missing_keys if "position_embeddings" not in name and ".decoder." not in name]
    if missing or lost.unexpected_keys:
        raise ValueError(f"{folder}: the reference model finds no {missing} and no use for {lost.unexpected_keys}")
    model.tie_weights()
    return model


def _slopes(heads: int) -> list[float]:
    power = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    return slopes + [2 ** (-4 * (2 * head + 1) / power) for head in range(heads - power)]
