"""What all layers of a forward pass share: who sees whom, the bias of position types, and how documents are packed.

Shapes: B batch, S sequence, H heads.
"""

from typing import Any, NamedTuple

import torch
from transformers.masking_utils import packed_sequence_mask_function

from .compat import create_mask, create_window_mask
from .configuration_triembed import TriEmbedConfig
from .documents import Documents
from .fused_attention import keep_normal
from .kernels import add_bias, is_of_engine, reads_boundaries, refuse_dropped_mask, written_out
from .packing import pack
from .position_signal import PositionSignal, position_dtype
from .positions import PositionParts


class AttentionPlan(NamedTuple):
    """What all layers of one forward pass share."""

    masks: dict[
        int | None, Any
    ]  # by window, as the kernel takes them: tokens to either side that a layer sees, None for all
    signal: PositionSignal  # rotation, content, and the bias that the kernel takes beside the mask
    packed: dict[str, Any]  # arguments of the layers where documents are packed


def plan_attention(
    config: TriEmbedConfig,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    signal: PositionSignal,
    pairs: PositionParts,
    position_ids: torch.Tensor,
    documents: Documents | None,
    windows: set[int | None],
) -> AttentionPlan:
    """Write masks and bias down once, instead of once in each layer.

    Args:
        config: names the kernel.
        hidden_states: (B, S, D), for shape, dtype and device.
        attention_mask: (B, S), or 4D as in transformers.
        signal: what position types say of each token.
        pairs: the position types that say something of each pair.
        position_ids: (1|B, S) for them.
        documents: packed in the rows; none sees another.
        windows: of all layers.
    """
    kernel, everything = config._attn_implementation, dict.fromkeys(windows)
    refuse_dropped_mask(kernel, attention_mask, windows, length=hidden_states.shape[1])
    if documents is not None and documents.lengths is not None and attention_mask is None:
        if kernel == "sdpa":
            packing = pack(documents, position_ids, pairs=pairs, windows=windows, dtype=hidden_states.dtype)
            return AttentionPlan(everything, signal, {"packing": packing})
        if reads_boundaries(kernel) or is_of_engine(kernel):
            return AttentionPlan(everything, signal, documents.flash_arguments())
    if documents is not None and reads_boundaries(kernel):
        raise ValueError(
            f"position_ids: they restart within a row that an attention_mask pads, which {kernel} cannot keep apart; "
            "leave the padding out, or use 'sdpa'"
        )
    apart = None if documents is None else packed_sequence_mask_function(documents.ids)
    rule = written_out(kernel, apart) if pairs else apart
    masks: dict[int | None, Any] = {}
    for window in windows:
        create = create_mask if window is None else create_window_mask
        masks[window] = create(config, hidden_states, attention_mask, and_mask_function=rule)
    of_pairs = pairs(position_ids, position_dtype(hidden_states.dtype))
    signal = signal._replace(content=of_pairs.content)
    if of_pairs.bias is not None:
        bias = keep_normal(of_pairs.bias).to(hidden_states.dtype)
        sums = {
            window: add_bias(config, signal, mask, bias, batch=hidden_states.shape[0]) for window, mask in masks.items()
        }
        masks = {window: mask for window, (_, mask) in sums.items()}
        signal = signal._replace(bias=next((rest.bias for rest, _ in sums.values()), None))
    return AttentionPlan(masks, signal, {})
