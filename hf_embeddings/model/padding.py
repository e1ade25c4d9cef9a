"""Padding is dropped before the encoder runs and put back into what it returns, unless something needs to see it.

`why_padding_stays` decides; `STAYS` lists all reasons. What the model returns is the same either way, up to rounding
and to the random numbers of dropout: `last_hidden_state` is 0 where there is padding.

Shapes: B batch, S sequence, T tokens that are not padding, D hidden.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import nn

from .documents import Documents
from .kernels import folds_biases, reads_boundaries
from .packing import has_variable_length
from .position_signal import dtype_of
from .recording import is_readable

Values = TypeVar("Values", bound=torch.Tensor | None)

LEAST_PADDING = 0.05  # share of the batch: with less, gathering tokens costs more than it saves
# Tokens of padding times the square of the width: below, planning costs more. Measured on CPU, estimated for GPUs.
LEAST_WORK = {"cpu": 1e6, "cuda": 1e9}
RECORDED = ("output_hidden_states", "output_attentions")
# Their hooks move, gather or watch weights; hooks of others may read states, and expect (B, S, D).
LIBRARIES = frozenset(("torch", "transformers", "accelerate", "deepspeed"))


class Batch(NamedTuple):
    """What decides whether the padding of a batch is dropped."""

    model: Any  # the encoder
    shape: tuple[int, int]  # B, S
    attention_mask: torch.Tensor
    position_ids: torch.Tensor | None
    arguments: dict[str, Any]  # of the forward pass beside its inputs


class Tokens(NamedTuple):
    """The tokens of a batch without its padding, row after row."""

    shape: tuple[int, int]  # B, S
    places: torch.Tensor  # (T,) indices into the flattened B * S places
    documents: Documents  # of (1, T) tokens: the rows, or the documents packed in them

    def take(self, values: Values) -> Values:
        """Return the values of the tokens, (1, T, ...) of (1|B, S, ...); None for None."""
        if values is None:
            return values
        whole = values.expand(*self.shape, *values.shape[2:]).flatten(0, 1)
        return cast("Values", whole.index_select(0, self.places.to(values.device))[None])

    def put_back(self, states: torch.Tensor) -> torch.Tensor:
        """Return (1, T, D) states as (B, S, D), 0 where there is padding."""
        rows, length = self.shape
        whole = states.new_zeros(rows * length, states.shape[-1])
        return whole.index_copy_(0, self.places.to(states.device), states[0]).view(rows, length, -1)


def drop_padding(batch: Batch, documents: Documents | None) -> Tokens | None:
    """Return the tokens of a batch without its padding; None where the padding stays.

    Args:
        batch: to be encoded.
        documents: packed in its rows, if any.
    """
    if why_padding_stays(batch) is not None:
        return None
    places = (batch.attention_mask != 0).flatten().nonzero().flatten()
    numbers = places // batch.shape[1] if documents is None else documents.ids.flatten()[places]
    _, ids, lengths = numbers.unique_consecutive(return_inverse=True, return_counts=True)
    return Tokens(batch.shape, places, Documents(ids[None], lengths.tolist()))


def clear_padding(states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Return (B, S, D) states that are 0 where a (B, S) mask shows padding."""
    if attention_mask is None or attention_mask.dim() != 2:
        return states
    return states.masked_fill((attention_mask.to(states.device) == 0)[..., None], 0.0)


def why_padding_stays(batch: Batch) -> str | None:
    """Say what keeps the padding of a batch in its place; None where it is dropped."""
    return next((reason for reason, holds in STAYS.items() if holds(batch)), None)


def _is_recorded(batch: Batch) -> bool:
    given, config = batch.arguments, batch.model.config
    asked = (given[name] if given.get(name) is not None else getattr(config, name, False) for name in RECORDED)
    return any(choice is not False and choice is not None for choice in asked)


def _lacks_kernel(batch: Batch) -> bool:
    """Tell whether no kernel serves documents of many lengths better than padded rows."""
    config, device = batch.model.config, batch.attention_mask.device
    kernel = config._attn_implementation
    if device.type not in LEAST_WORK or not (kernel == "sdpa" or reads_boundaries(kernel)):
        return True
    if device.type == "cpu" or reads_boundaries(kernel):
        return False
    _, pairs = batch.model.embeddings.position.split(folding=folds_biases(kernel, device))
    if pairs or (batch.model.training and config.attention_probs_dropout_prob > 0):
        return True
    autocast = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if autocast else dtype_of(batch.model.layers)
    return not has_variable_length(device, dtype, config.hidden_size // config.num_attention_heads)


def _is_nearly_full(batch: Batch) -> bool:
    total = batch.shape[0] * batch.shape[1]
    count = int((batch.attention_mask != 0).sum())
    least = LEAST_WORK[batch.attention_mask.device.type] / batch.model.config.hidden_size**2
    return count == 0 or total - count < max(LEAST_PADDING * total, least)


def _counts_over_padding(batch: Batch) -> bool:
    """Tell whether windows are counted over padding that stands between tokens of a row."""
    if all(layer.attention.sliding_window is None for layer in batch.model.layers):
        return False
    real = batch.attention_mask != 0
    runs = real[:, 0].long() + (real[:, 1:] & ~real[:, :-1]).sum(dim=1)
    return bool((runs > 1).any())


def _is_recomputed_reentrantly(batch: Batch) -> bool:
    """Tell whether a bias must be an argument of its own, as `check_recomputable` asks."""
    model = batch.model
    if not (model.gradient_checkpointing and model.training):
        return False
    is_reentrant = getattr(model._gradient_checkpointing_func, "keywords", {}).get("use_reentrant")
    return bool(is_reentrant) and any(part.pairwise or part.folds for part in model.embeddings.position.values())


def _is_read_or_compiled(batch: Batch) -> bool:
    return any(_is_fixed(module) or _is_read(module) for module in batch.model.modules() if module is not batch.model)


def _is_fixed(module: nn.Module) -> bool:
    """Tell whether a module was compiled by itself: each batch has other groups of documents, so it would be again."""
    return (
        module._compiled_call_impl is not None
        or "_orig_mod" in module._modules
        or isinstance(module, torch.jit.ScriptModule)
    )


def _is_read(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(_of_others(own.values()) for own in hooks if own)


def _of_others(hooks: Iterable[Callable[..., Any]]) -> bool:
    for hook in hooks:
        while isinstance(hook, partial):
            hook = hook.func
        if str(getattr(hook, "__module__", None)).split(".")[0] not in LIBRARIES:
            return True
    return False


# In the order in which they are asked: first what costs nothing.
STAYS: dict[str, Callable[[Batch], bool]] = {
    "padding_free is false in the config": lambda batch: not batch.model.config.padding_free,
    "a compiler, an exporter or torch.func records operations, so the mask cannot be read": (
        lambda batch: not is_readable(batch.attention_mask)
    ),
    "attention_mask does not say of each token whether it is padding: it is not (B, S)": (
        lambda batch: tuple(batch.attention_mask.shape) != batch.shape
    ),
    "hidden states or attention weights of layers are asked for": _is_recorded,
    "attn_implementation attends over whole rows, or is not known to be faster without padding here": _lacks_kernel,
    "position_ids are given, and rotations depend on the length of a row": (
        lambda batch: batch.position_ids is not None and batch.model.embeddings.position.length_dependent
    ),
    "layers are recomputed with use_reentrant=True, and share the bias of a position type": _is_recomputed_reentrantly,
    "there is little padding, or nothing else": _is_nearly_full,
    "padding stands between tokens, and windows are counted over it": _counts_over_padding,
    "a hook may read states of a layer, or a layer is compiled by itself": _is_read_or_compiled,
}
