"""BERT in two layouts that transformers 5 does not run: with relative keys, and with ALiBi and a gated feed-forward.

This file lies beside the checkpoints in these layouts that `hf-embeddings convert --to` writes, and loads them with
`trust_remote_code=True`. Each model is transformers' BERT with some modules exchanged, and the formulas written out as
their papers have them.

Shapes: B batch, S sequence, D hidden, H heads, K head width, F intermediate.
"""

import math
from typing import Any

import torch
import transformers
from torch import nn
from transformers import BertConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.models.bert.modeling_bert import BertLayer

HEADS = {  # of BERT, by the Auto class that asks for them
    "AutoModel": "Model",
    "AutoModelForPreTraining": "ForPreTraining",
    "AutoModelForMaskedLM": "ForMaskedLM",
    "AutoModelForNextSentencePrediction": "ForNextSentencePrediction",
    "AutoModelForSequenceClassification": "ForSequenceClassification",
    "AutoModelForTokenClassification": "ForTokenClassification",
    "AutoModelForQuestionAnswering": "ForQuestionAnswering",
    "AutoModelForMultipleChoice": "ForMultipleChoice",
}


class PlainAttention(nn.Module):
    """BERT's self-attention, to whose scores a subclass adds something."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads, self.width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(config.hidden_size, config.hidden_size) for _ in range(3))
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *further: object,
        **options: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, S, D) to (B, S, D) and the weights (B, H, S, S)."""
        batch, length, _ = hidden_states.shape
        query, key, value = (
            layer(hidden_states).view(batch, length, self.heads, self.width).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = self.scores(query, key)
        weights = (scores if attention_mask is None else scores + attention_mask).softmax(dim=-1)
        return (self.dropout(weights) @ value).transpose(1, 2).reshape(batch, length, -1), weights

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
        places = torch.arange(query.shape[2], device=query.device)
        vectors = self.distance_embedding(places[:, None] - places[None, :] + self.furthest)  # (S, S, K)
        scores = query @ key.transpose(-1, -2) + torch.einsum("bhik,ijk->bhij", query, vectors)
        if self.kind == "relative_key_query":
            scores = scores + torch.einsum("bhjk,ijk->bhij", key, vectors)
        return scores / math.sqrt(self.width)


class AlibiAttention(PlainAttention):
    """Scores lowered by m_h |i - j|, with the slopes of the ALiBi paper (arXiv 2108.12409)."""

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S)."""
        places = torch.arange(query.shape[2], device=query.device)
        slopes = torch.tensor(_slopes(self.heads), device=query.device)
        bias = slopes[:, None, None] * (places[:, None] - places[None, :]).abs()
        return super().scores(query, key) - bias.to(query.dtype)


class FusedGatedFeedForward(nn.Module):
    """norm(x + wo(act(first half) * second half)) of one linear map to 2 F, as MosaicBERT and jina's BERT have it."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.wo = nn.Linear(config.intermediate_size, config.hidden_size)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        gate, up = self.gated_layers(hidden_states).chunk(2, dim=-1)
        return self.layernorm(hidden_states + self.wo(self.dropout(self.activation(gate) * up)))


class GatedLayer(BertLayer):
    """A layer with a gated feed-forward under the names of jina's BERT."""

    def __init__(self, config: BertConfig, layer_idx: int | None = None) -> None:
        super().__init__(config, layer_idx)
        del self.intermediate, self.output
        self.mlp = FusedGatedFeedForward(config)

    def feed_forward_chunk(self, attention_output: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, S, D)."""
        result: torch.Tensor = self.mlp(attention_output)
        return result


class NoPositions(nn.Module):
    """Stands where BERT has its table of positions, and adds nothing to the input."""

    def forward(self, position_ids: torch.Tensor) -> torch.Tensor:
        """Map (1|B, S) ids to 0."""
        return torch.zeros((), device=position_ids.device)


class _Layout(PreTrainedModel):
    """What a class of BERT becomes once its modules are exchanged: before its own class in the order of resolution."""

    # Their attention is written out here, for the mask of eager attention.
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = False
    attention: type[PlainAttention]
    layer: type[BertLayer] = BertLayer

    def __init__(self, config: BertConfig, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        encoder: Any = getattr(self, "bert", self)
        encoder.embeddings.position_embeddings = NoPositions()
        for index in range(config.num_hidden_layers):
            encoder.encoder.layer[index] = self.layer(config, index)
            encoder.encoder.layer[index].attention.self = self.attention(config)
        self.post_init()


class _RelativeKey(_Layout):
    attention = RelativeKeyAttention


class _Jina(_Layout):
    attention = AlibiAttention
    layer = GatedLayer


def _slopes(heads: int) -> list[float]:
    power = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    return slopes + [2 ** (-4 * (2 * head + 1) / power) for head in range(heads - power)]


def _define(prefix: str, layout: type[_Layout], auto_class: str, head: str) -> type[PreTrainedModel]:
    name, stock = f"{prefix}Bert{head}", getattr(transformers, f"Bert{head}")
    model_class: type[PreTrainedModel] = type(name, (layout, stock), {"__module__": __name__, "__doc__": stock.__doc__})
    model_class.register_for_auto_class(auto_class)  # so that a model saved again has this file beside it
    return model_class


# JinaBertModel, RelativeKeyBertForMaskedLM, ...
for _prefix, _layout in (("RelativeKey", _RelativeKey), ("Jina", _Jina)):
    for _auto_class, _head in HEADS.items():
        globals()[f"{_prefix}Bert{_head}"] = _define(_prefix, _layout, _auto_class, _head)
