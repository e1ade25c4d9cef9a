"""A narrower student: the channels, heads and feed-forward neurons of its teacher that carry most.

Shapes: T tokens of all texts, D width of the teacher, d of the student, H heads of width K, F neurons, N texts.
"""

import copy
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hf_embeddings.model.modeling_triembed import TriEmbedModel

CHANNELS, HEADS, NEURONS = "channels", "heads", "neurons"
# What each axis of a weight counts, where it is cut; a bias has the first of them.
AXES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"embeddings\.(token|segment|position\.learned\.table)", (None, CHANNELS)),
    (r"embeddings\.projection", (CHANNELS, None)),
    (r"(.+\.|.+_)?norm", (CHANNELS,)),
    (r"layers\.\d+\.attention\.(query|key|value)", (HEADS, CHANNELS)),
    (r"layers\.\d+\.attention\.out", (CHANNELS, HEADS)),
    (r"layers\.\d+\.feed_forward\.(up|gate)", (NEURONS, CHANNELS)),
    (r"layers\.\d+\.feed_forward\.down", (CHANNELS, NEURONS)),
)


@dataclass(frozen=True)
class Cut:
    """What stays of a teacher."""

    channels: torch.Tensor  # (d,) of the hidden states
    heads: list[torch.Tensor]  # for each layer (d,) places among the H * K of its attention
    neurons: list[torch.Tensor]  # for each layer (f,) of its feed-forward

    def of_layer(self, number: int) -> dict[str, torch.Tensor]:
        """Return the places by the word in `AXES`."""
        return {CHANNELS: self.channels, HEADS: self.heads[number], NEURONS: self.neurons[number]}


@torch.no_grad()
def choose_cut(model: TriEmbedModel, ids: Sequence[Sequence[int]], kept: Sequence[int], width: int) -> Cut:
    """Choose by what the teacher does on some texts.

    A channel counts by its share of the variance of the states that the layers read and of the last; a head and a
    neuron by the square of what they add to the channels that stay.

    Args:
        model: the teacher.
        ids: token ids of N texts, special ones included.
        kept: numbers of the layers of the teacher that stay.
        width: d.
    """
    config, tokens = model.config, torch.tensor([[i for row in ids for i in row]])
    boundaries = torch.tensor([0, *np.cumsum([len(row) for row in ids])], dtype=torch.int32)
    with _inputs_of_last_maps(model) as inputs:
        states = model(tokens, cu_seq_lens_q=boundaries, output_hidden_states=True).hidden_states
    read = [states[number][0].float() for number in (*kept, len(model.layers))]  # (T, D) each
    variance = torch.stack([state.var(dim=0) / state.var(dim=0).sum() for state in read]).sum(dim=0)
    channels = _largest(variance, width)
    head = config.hidden_size // config.num_attention_heads
    neurons = config.intermediate_size * width // config.hidden_size
    cut = Cut(channels, [], [])
    for number in kept:
        layer: Any = model.layers[number]
        context, hidden = inputs[layer.attention.out], inputs[layer.feed_forward.down]  # (T, D), (T, F)
        added = context.unflatten(1, (-1, head)).transpose(0, 1) @ layer.attention.out.weight[channels].unflatten(
            1, (-1, head)
        ).permute(1, 2, 0)  # (H, T, d)
        chosen = _largest(added.square().sum(dim=(1, 2)), width // head)
        cut.heads.append((chosen[:, None] * head + torch.arange(head)).flatten())
        strength = hidden.square().sum(dim=0) * layer.feed_forward.down.weight[channels].square().sum(dim=0)
        cut.neurons.append(_largest(strength, max(1, neurons)))
    return cut


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    return values.topk(count).indices.sort().values


@contextmanager
def _inputs_of_last_maps(model: TriEmbedModel) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """Yield what the last maps of attention and feed-forward of each layer read, (T, ...), once the model has run."""
    inputs: dict[nn.Module, torch.Tensor] = {}

    def keep(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        inputs[module] = given[0][0].float()

    layers: Any = model.layers
    maps = [part for layer in layers for part in (layer.attention.out, layer.feed_forward.down)]
    hooks = [part.register_forward_pre_hook(keep) for part in maps]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()


def narrowed(model: TriEmbedModel, cut: Cut) -> TriEmbedModel:
    """Return an encoder, without a pooler, of what a cut leaves of a model that has the layers of the cut.

    Raises:
        ValueError: a weight changes its shape by no rule here.
    """
    config, width = copy.deepcopy(model.config), len(cut.channels)
    config.num_attention_heads = config.num_attention_heads * width // config.hidden_size
    config.hidden_size, config.intermediate_size = width, len(cut.neurons[0])
    small = TriEmbedModel(config, add_pooling_layer=False)
    weights, whole = small.state_dict(), model.state_dict()
    for name, weight in weights.items():
        weight.copy_(_cut(name, whole[name], weight.shape, cut))
    if config.embedding_scale and config.embedding_size is None:  # the factor that the model applies has changed, too
        weights["embeddings.token.weight"].mul_(math.sqrt(model.config.hidden_size / width))
    return small.eval()


def _cut(name: str, weight: torch.Tensor, shape: torch.Size, cut: Cut) -> torch.Tensor:
    if weight.shape == shape:
        return weight
    module = name.rpartition(".")[0]
    axes = next((axes for pattern, axes in AXES if re.fullmatch(pattern, module)), ())
    layer = re.match(r"layers\.(\d+)\.", name)
    places = cut.of_layer(int(layer[1]) if layer else 0)
    for axis, kind in enumerate(axes[: weight.dim()]):
        if kind is not None and weight.shape[axis] != shape[axis]:
            weight = weight.index_select(axis, places[kind])
    if weight.shape != shape:
        raise ValueError(f"--width: {name} cannot be made narrower; leave --width out, or take another teacher")
    return weight


def directions(vectors: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Return d orthonormal directions (D, d) that keep most of (N, D) vectors, turned as near to channels as can be.

    A narrower student's vectors are matched with its teacher's along them: more of the similarities survives than in
    the channels alone, and the student, which begins with these, has less to learn.
    """
    second = vectors.T.astype(np.float64) @ vectors
    kept = np.linalg.eigh(second)[1][:, -len(channels) :]  # (D, d): PCA without a mean, which cosines do not leave out
    left, _, right = np.linalg.svd(kept.T[:, channels])
    result: np.ndarray = kept @ left @ right
    return result
