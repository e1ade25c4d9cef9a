"""Fewer layers for a student: those whose loss moves the vectors of a sample least.

Shapes: N texts, D width.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_embeddings.analysis.similarity import pair_cosines
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.model.layers import Layer
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel
from hf_embeddings.search.encoder import Encoder


@dataclass(frozen=True)
class LayerChoice(JsonRecord):
    """Which layers stay, and what the vectors of the sample were like without each that was left out."""

    kept: list[int]  # numbers of the teacher's layers, from 0
    dropped: dict[str, float]  # number of a layer, in the order of leaving -> mean cosine to the teacher from then on


def choose_layers(
    encoder: Encoder, texts: Sequence[str], count: int, progress: Callable[[float], None] = lambda done: None
) -> LayerChoice:
    """Leave out one layer after the other: each time that without which the vectors stay nearest to the teacher's.

    Args:
        encoder: the teacher, a TriEmbed; it is as before afterwards.
        texts: N texts to judge by.
        count: how many layers stay.
        progress: is called with the number of trials just done, of those that `trials` says.

    Raises:
        ValueError: the teacher has not so many layers.
    """
    model = encoder.model
    assert isinstance(model, TriEmbedModel), type(model)
    layers = list(model.layers)
    if not 1 <= count <= len(layers):
        raise ValueError(f"--layers {count}: expected 1 to {len(layers)}, the layers of the teacher")
    whole = encoder.encode(texts)
    kept, dropped = list(range(len(layers))), {}
    fixed = {0} if model.config.skip_first_norm else set()  # it has another shape than the others
    try:
        while len(kept) > count:
            nearness = {}
            for number in kept:
                if number not in fixed:
                    model.layers = _as_layers(layers[i] for i in kept if i != number)
                    nearness[number] = float(pair_cosines(encoder.encode(texts), whole).mean())
                progress(1)
            worst = max(nearness, key=lambda number: nearness[number])
            dropped[str(worst)] = nearness[worst]
            kept.remove(worst)
    finally:
        model.layers = _as_layers(layers)
    return LayerChoice(kept, dropped)


def _as_layers(layers: Iterable[Layer]) -> Any:  # noqa: ANN401  a list of modules does not say of which
    return torch.nn.ModuleList(layers)


def trials(layers: int, count: int) -> int:
    """Return how many encodings of the sample a choice takes."""
    return int(np.arange(count + 1, layers + 1).sum())


def with_layers(model: TriEmbedPreTrainedModel, kept: Sequence[int]) -> TriEmbedPreTrainedModel:
    """Return a copy of a model that has only some of its layers."""
    small = copy.deepcopy(model)
    encoder, config = small.base_model, small.config
    types = config.layer_types
    config.layer_types = None  # no length contradicts the other on the way
    config.num_hidden_layers = len(kept)
    config.layer_types = None if types is None else [types[number] for number in kept]
    encoder.layers = _as_layers(encoder.layers[number] for number in kept)
    for number, layer in enumerate(encoder.layers):
        layer.attention.layer_idx = number
    return small.eval()
