"""What a position type does in a model, read through the model's public interface alone: vectors and scores.

Shapes: B words, S positions, D hidden, H heads, K head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel

HIDDEN = -1e9  # a mask adds less where it hides a pair


@dataclass(frozen=True)
class PositionProbe:
    """What position alone does; vectors are None for types that act on the scores only."""

    measured_on: str  # in words
    vectors: np.ndarray | None  # (S, D) the summand, or (S, H * K) the rotated query
    scores: np.ndarray  # (H, S, S) attention scores of the first layer, before the softmax
    scored: str = "score added"  # what they are: added by position alone, or those of identical words


@torch.no_grad()
def probe_type(config: TriEmbedConfig, position_ids: torch.Tensor) -> PositionProbe:
    """Measure positions (S,) of a type as its config builds it: in one layer whose query and key are constant.

    Raises:
        ValueError, IndexError: the type ends before the last position.
    """
    torch.manual_seed(0)
    model = TriEmbedModel(config, add_pooling_layer=False).double().eval()
    for projection in (model.layers[0].attention.query, model.layers[0].attention.key):
        nn.init.zeros_(projection.weight)
        nn.init.ones_(projection.bias)
    query, scores = _first_layer(model, torch.ones_like(position_ids)[None], position_ids)
    attention = model.layers[0].attention
    alike = attention.head_dim * attention.scaling  # the score of the constant query and key without position
    remark = ", untrained" if any("position" in name for name, _ in model.named_parameters()) else ""
    summand = _summand(model, position_ids)
    if summand is not None:
        # A summand reaches the scores through query and key: q = k = P[p] is the inner product of two positions.
        scores = scores - alike + summand @ summand.T * config.hidden_size**-0.5
        return PositionProbe(f"the summand{remark}", summand.numpy(), scores.numpy())
    if model.embeddings.position(position_ids[None]).rotation is not None:
        rotated_query = query.transpose(0, 1).flatten(1)  # (S, H * K)
        return PositionProbe(
            f"the rotation of one constant query and key{remark}", rotated_query.numpy(), scores.numpy()
        )
    return PositionProbe(f"the score bias, for one constant query and key{remark}", None, (scores - alike).numpy())


@torch.no_grad()
def probe_checkpoint(model: TriEmbedModel, position_ids: torch.Tensor, *, words: int = 32) -> PositionProbe:
    """Measure positions (S,) of trained weights: vectors of the trained table; scores by identical word probing.

    All positions hold the same word, so that scores differ by position only (https://openreview.net/forum?id=onxoVA9FxMw);
    the mean over `words` tokens spread over the vocabulary.
    """
    model = model.double().eval()
    ids = torch.linspace(0, model.config.vocab_size - 1, words + 2).long()[1:-1, None].expand(-1, len(position_ids))
    scores = torch.stack([_first_layer(model, row[None], position_ids)[1] for row in ids]).mean(dim=0)
    summand = _summand(model, position_ids)
    measured_on = "identical words" if summand is None else "the trained table (vectors) and identical words (scores)"
    vectors = None if summand is None else summand.numpy()
    return PositionProbe(measured_on, vectors, scores.numpy(), "score of identical words")


def _summand(model: TriEmbedModel, position_ids: torch.Tensor) -> torch.Tensor | None:
    summand = model.embeddings.position(position_ids[None]).summand
    return None if summand is None else summand[0].double()


def _first_layer(
    model: TriEmbedModel, input_ids: torch.Tensor, position_ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    with _recorded_scores(model) as records:
        model(input_ids, position_ids=position_ids[None])
    return records[0]


@contextmanager
def _recorded_scores(model: TriEmbedModel) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Collect query (H, S, K) and scores (H, S, S) of the first layer at each forward pass, before the softmax.

    The window of a local layer is left out: it hides pairs, of which the position type says something all the same.
    """
    records = []

    def attend(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *,
        scaling: float,
        position_bias: torch.Tensor | None = None,
        **kwargs: object,
    ) -> tuple[torch.Tensor, None]:
        scores = plain_scores = query @ key.transpose(-1, -2) * scaling
        for bias in (attention_mask, position_bias):
            if bias is not None:
                scores, plain_scores = scores + bias, plain_scores + bias.masked_fill(bias < HIDDEN, 0)
        if module.layer_idx == 0:
            records.append((query[0], plain_scores[0]))
        return (scores.softmax(dim=-1) @ value).transpose(1, 2), None

    AttentionInterface.register("recorded_scores", attend)
    AttentionMaskInterface.register("recorded_scores", eager_mask)
    before = model.config._attn_implementation
    model.set_attn_implementation("recorded_scores")
    try:
        yield records
    finally:
        model.set_attn_implementation(before)
