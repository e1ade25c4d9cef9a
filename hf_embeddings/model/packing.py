"""Attention over documents packed without padding: no document sees another, and no mask spans the whole row.

Without a bias and on CUDA it is one call of torch's variable-length attention. Elsewhere documents of near length are
gathered into small padded batches, so that PyTorch's fused kernels serve them; a bias is then computed for each batch
from the positions in it.

Shapes: T tokens of all documents, H heads, K head width, n documents of a group, L its longest length.
"""

from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import torch
from torch.autograd.function import FunctionCtx

from .documents import Documents
from .fused_attention import fused_attention, keep_normal
from .position_signal import position_dtype
from .positions import PositionParts
from .recording import is_transformed

LARGEST_WASTE = 0.12  # share of padding in a group; measured as the best trade against more and smaller calls


class Group(NamedTuple):
    """Documents of near length, as a padded batch."""

    shape: tuple[int, int]  # n, L
    masks: dict[int | None, torch.Tensor | None]  # by window: what a layer adds to the scores, or may see; None: all
    content: dict[str, object] | None  # as in the joint position signal


class Packing(NamedTuple):
    """Where each token goes in the groups, and back."""

    groups: list[Group]
    take: torch.Tensor  # (slots,) the token in each slot; padding repeats a token
    back: torch.Tensor  # (T,) the slot of each token
    padding: torch.Tensor  # the slots that are padding
    boundaries: torch.Tensor  # (N + 1,) int32, for variable-length kernels
    longest: int
    biased: bool  # position types add to the scores


def pack(
    documents: Documents,
    position_ids: torch.Tensor,
    *,
    pairs: PositionParts,
    windows: set[int | None],
    dtype: torch.dtype,
) -> Packing:
    """Plan the attention of all layers over packed documents.

    Args:
        documents: of the B * S tokens.
        position_ids: (1|B, S).
        pairs: the position types that say something of each pair of tokens.
        windows: tokens to either side that layers see, None for all.
        dtype: of the bias.
    """
    device = documents.ids.device
    positions = position_ids.expand_as(documents.ids).flatten()
    assert documents.lengths is not None, "looked up before documents are packed"
    sizes = documents.lengths
    starts, lengths = documents.starts(), torch.tensor(sizes, device=device)
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    regular = bool(pairs) and _count_alike(documents, positions, starts, absolute=pairs.absolute)
    groups, takes, reals = [], [], []
    for members in _near_lengths(order, sizes):
        numbers = torch.tensor(members, device=device)
        longest = sizes[members[0]]
        step = torch.arange(longest, device=device)
        real = step < lengths[numbers, None]  # (n, L)
        take = starts[numbers, None] + torch.where(real, step, 0)
        # Where all documents count alike, the longest stands for all of them.
        signal = pairs(positions[take[:1]] if regular else positions[take], position_dtype(dtype))
        whole = sizes[members[-1]] == longest
        masks = {window: _mask(None if whole else real, window, longest, signal.bias, dtype) for window in windows}
        groups.append(Group((len(members), longest), masks, signal.content))
        takes.append(take.flatten())
        reals.append(real.flatten())
    take, real = torch.cat(takes), torch.cat(reals)
    slots = real.nonzero().flatten()
    back = torch.empty_like(slots).scatter(0, take[slots], slots)
    boundaries = documents.boundaries().to(torch.int32)
    padding = (~real).nonzero().flatten()
    return Packing(groups, take, back, padding, boundaries, max(sizes), bool(pairs))


class PackedLayer(Protocol):
    """What is asked of the attention of a layer."""

    scaling: float
    sliding_window: int | None

    def content_scores(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        *of_tokens: torch.Tensor,
        content: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return what position types add to the scaled scores; `content` is theirs."""
        ...


def packed_attention(
    attention: PackedLayer,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    *,
    content_heads: tuple[torch.Tensor, ...] | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attend within each document.

    Args:
        attention: the layer's module: its scale, window, and the scores of its position types.
        query: (T, H, K).
        key: (T, H, K).
        value: (T, H, K).
        packing: the plan of `pack`.
        content_heads: query and key (T, H, K) before rotation, and (T, H, W) more, where position types read them.
        dropout: rate on the attention weights.

    Returns:
        (T, H, K)
    """
    window = attention.sliding_window
    if _variable_length_serves(query, packing, dropout):
        return _variable_length(query, key, value, packing, scaling=attention.scaling, window=window)
    tensors = [query, key, value, *(content_heads or ())]
    shapes = [group.shape for group in packing.groups]
    slots = [_spread(tensor, packing).split([n * length for n, length in shapes]) for tensor in tensors]
    contexts = []
    for group, *parts in zip(packing.groups, *slots, strict=True):
        parts = [part.view(*group.shape, *part.shape[1:]).transpose(1, 2) for part in parts]  # (n, H, L, K)
        mask = group.masks[window]
        if content_heads is not None:
            mask = merge_bias(mask, attention.content_scores(*parts[3:], content=group.content))
        context = fused_attention(parts[0], parts[1], parts[2], mask, dropout=dropout, scaling=attention.scaling)
        contexts.append(context.transpose(1, 2).flatten(0, 1))  # (n * L, H, K)
    context = torch.cat(contexts)
    if is_transformed() or not torch.is_grad_enabled():
        return context.index_select(0, packing.back)
    return _Collect.apply(context, packing.back, packing.take, packing.padding)


def _near_lengths(order: list[int], lengths: list[int]) -> list[list[int]]:
    """Cut documents, longest first, into groups that hold at most `LARGEST_WASTE` padding."""
    groups: list[list[int]] = []
    total = 0
    for document in order:
        length = lengths[document]
        if groups and total + length >= (1 - LARGEST_WASTE) * lengths[groups[-1][0]] * (len(groups[-1]) + 1):
            groups[-1].append(document)
            total += length
        else:
            groups.append([document])
            total = length
    return groups


def _count_alike(documents: Documents, positions: torch.Tensor, starts: torch.Tensor, *, absolute: bool) -> bool:
    """Tell whether all documents count up by one and, for absolute types, from the same number."""
    first = positions[0] if absolute else positions[starts][documents.ids.flatten()]
    return bool((positions == documents.positions().flatten() + first).all())


def _mask(
    real: torch.Tensor | None, window: int | None, length: int, bias: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor | None:
    """Join padding (n, L), window and bias (1|n, H, L, L) into one mask for (n, H, L, L) scores."""
    is_visible = None if real is None else real[:, None, None]
    if window is not None and window < length - 1:
        index = torch.arange(length, device=None if real is None else real.device)
        near = (index[:, None] - index).abs() <= window
        is_visible = near[None, None] if is_visible is None else is_visible & near
    if bias is None:
        return is_visible
    return merge_bias(is_visible, keep_normal(bias).to(dtype))


def merge_bias(attention_mask: torch.Tensor | None, bias: torch.Tensor) -> torch.Tensor:
    """Write mask and position bias as one additive mask."""
    if attention_mask is None:
        return bias
    least = torch.finfo(bias.dtype).min
    if attention_mask.dtype == torch.bool:
        return torch.where(attention_mask, bias, least)
    # A sum below the smallest number would be -inf, and a row of nothing but -inf would be NaN.
    return (attention_mask + bias).clamp(min=least)


class _Places(FunctionCtx):
    take: torch.Tensor
    back: torch.Tensor
    padding: torch.Tensor


class _Spread(torch.autograd.Function):
    """Copy (T, W) tokens into slots; the gradient of a token is that of its one slot, so nothing is summed."""

    @staticmethod
    def forward(ctx: _Places, tokens: torch.Tensor, take: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        ctx.back = back
        return tokens.index_select(0, take)

    @staticmethod
    def backward(ctx: _Places, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return gradient.index_select(0, ctx.back), None, None


class _Collect(torch.autograd.Function):
    """Copy slots back into (T, W) tokens; padding gets no gradient."""

    @staticmethod
    def forward(
        ctx: _Places, slots: torch.Tensor, back: torch.Tensor, take: torch.Tensor, padding: torch.Tensor
    ) -> torch.Tensor:
        ctx.take, ctx.padding = take, padding
        return slots.index_select(0, back)

    @staticmethod
    def backward(ctx: _Places, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return gradient.index_select(0, ctx.take).index_fill_(0, ctx.padding, 0.0), None, None, None


def _spread(tokens: torch.Tensor, packing: Packing) -> torch.Tensor:
    if is_transformed() or not torch.is_grad_enabled():  # a function of its own costs as much as the copy
        return tokens.index_select(0, packing.take)
    return _Spread.apply(tokens, packing.take, packing.back)


def has_variable_length(device: torch.device, dtype: torch.dtype, width: int = 8) -> bool:
    """Tell whether torch's variable-length attention runs on a device, for a dtype and the width of a head."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16) or width % 8 or width > 256:
        return False
    is_nvidia = torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)
    return is_nvidia and find_spec("torch.nn.attention.varlen") is not None  # from torch 2.10 on


def _variable_length_serves(query: torch.Tensor, packing: Packing, dropout: float) -> bool:
    if packing.biased or dropout > 0.0:
        return False
    return has_variable_length(query.device, query.dtype, query.shape[-1])


def _variable_length(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    *,
    scaling: float,
    window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    bounds, longest = packing.boundaries, packing.longest
    sides = (-1, -1) if window is None else (window, window)
    context = varlen_attn(query, key, value, bounds, bounds, longest, longest, scale=scaling, window_size=sides)
    assert isinstance(context, torch.Tensor), "without the sums of the softmax"
    return context
