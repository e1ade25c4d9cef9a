"""Two sentences in the model, and in the model without its positions: what tells a sentence from its reversal.

Shapes: S pieces, L layers, D width.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.explaining.explanation import Order, Pieces, SharedPiece
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.model.positions import LayerPositions, Positions

Inputs = dict[str, torch.Tensor]


def compare_order(model: TriEmbedModel, inputs: tuple[Inputs, Inputs], texts: tuple[Pieces, Pieces]) -> Order:
    """Compare the states of two sentences that were read apart."""
    states = [_states(model, own) for own in inputs]
    with positions_removed(model):
        blind = [_states(model, own) for own in inputs]
    first, second = (text.pieces for text in texts)
    pieces = [
        SharedPiece(first[one].label, (one, other), *(_cosines(s[0][:, one], s[1][:, other]) for s in (states, blind)))
        for one, other in _matches([piece.id for piece in first], [piece.id for piece in second])
        if first[one].kind != "added"
    ]
    means, blind_means = ([state.mean(axis=1) for state in pair] for pair in (states, blind))
    return Order(
        same_pieces=sorted(piece.id for piece in first) == sorted(piece.id for piece in second),
        pieces=pieces,
        cosine=_cosines(*means),
        without=_cosines(*blind_means),
    )


@contextmanager
def positions_removed(model: TriEmbedModel) -> Iterator[None]:
    """Let a model be blind to positions in the block: no vector, no rotation, no score of them."""
    config = copy.deepcopy(model.config)
    config.position_parameters, config.position_embedding_type = None, "none"
    kept = model.embeddings.position, [layer.attention.position for layer in model.layers]
    model.embeddings.position = Positions(config)
    for layer in model.layers:
        layer.attention.position = LayerPositions(config)
    try:
        yield
    finally:
        model.embeddings.position = kept[0]
        for layer, positions in zip(model.layers, kept[1], strict=True):
            layer.attention.position = positions


@torch.no_grad()
def _states(model: TriEmbedModel, inputs: Inputs) -> np.ndarray:
    """Return the states (L + 1, S, D) of an input."""
    states = model(**inputs, output_hidden_states=True).hidden_states
    assert states is not None, "asked for"
    return torch.cat(states).double().numpy()


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = (unit_rows(first) * unit_rows(second)).sum(axis=-1)
    return cosines


def _matches(first: list[int], second: list[int]) -> list[tuple[int, int]]:
    """Return the places of ids that both have, the n-th of an id with the n-th."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, index in enumerate(second):
        places[index].append(place)
    return [(place, places[index].pop(0)) for place, index in enumerate(first) if places[index]]
