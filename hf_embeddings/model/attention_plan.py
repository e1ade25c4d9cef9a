"""What all layers of a forward pass share: who sees whom, the bias of position types, and how documents are packed.

Shapes: B batch, S sequence, H heads.
"""

from inspect import signature
from typing import Any, NamedTuple

import torch
import transformers
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.masking_utils import packed_sequence_mask_function

from .compat import create_mask, create_window_mask
from .configuration_triembed import TriEmbedConfig
from .documents import Documents
from .fused_attention import keep_normal
from .packing import merge_bias, pack
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
    if documents is not None and documents.lengths is not None and attention_mask is None:
        if kernel == "sdpa":
            packing = pack(documents, position_ids, pairs=pairs, windows=windows, dtype=hidden_states.dtype)
            return AttentionPlan(everything, signal, {"packing": packing})
        if "flash" in kernel:
            return AttentionPlan(everything, signal, documents.flash_arguments())
    if documents is not None and "flash" in kernel:
        raise ValueError(
            f"position_ids: they restart within a row that an attention_mask pads, which {kernel} cannot keep apart; "
            "leave the padding out, or use 'sdpa'"
        )
    apart = None if documents is None else packed_sequence_mask_function(documents.ids)
    masks: dict[int | None, Any] = {}
    for window in windows:
        create = create_mask if window is None else create_window_mask
        masks[window] = create(config, hidden_states, attention_mask, and_mask_function=apart)
    of_pairs = pairs(position_ids, position_dtype(hidden_states.dtype))
    signal = signal._replace(content=of_pairs.content)
    if of_pairs.bias is not None:
        bias = keep_normal(of_pairs.bias).to(hidden_states.dtype)
        added = {
            window: add_bias(config, signal, mask, bias, batch=hidden_states.shape[0]) for window, mask in masks.items()
        }
        masks = {window: mask for window, (_, mask) in added.items()}
        signal = signal._replace(bias=next((kept.bias for kept, _ in added.values()), None))
    return AttentionPlan(masks, signal, {})


def folds_biases(kernel: str, device: torch.device) -> bool:
    """Tell whether a kernel is better served by extra dimensions of query and key than by a bias.

    Flash kernels take no bias at all. On CPU a bias that needs no gradient costs the fused kernel nothing, and the
    extra dimensions would have to be computed.
    """
    return "flash" in kernel or (kernel == "sdpa" and device.type != "cpu")


def add_bias(
    config: TriEmbedConfig,
    signal: PositionSignal,
    attention_mask: torch.Tensor | None,
    bias: torch.Tensor,
    *,
    batch: int,
) -> tuple[PositionSignal, torch.Tensor | None]:
    """Add (1|B, H, S, S) to the scores, by the mask or by `signal.bias`, whichever the kernel reads."""
    if config._attn_implementation == "flex_attention":
        if "position_bias" not in signature(flex_attention_forward).parameters:
            raise ValueError(
                f"attn_implementation: flex_attention of transformers {transformers.__version__} would drop the score "
                f"bias of position_embedding_type {config.position_embedding_type!r}; use 'sdpa', or pip install "
                "'transformers>=5.14'"
            )
        bias = bias.expand(batch, -1, -1, -1)  # it reads a bias of each row
        return signal._replace(bias=bias if signal.bias is None else signal.bias + bias), attention_mask
    return signal, merge_bias(attention_mask, bias)
