"""What an attention kernel reads, as transformers' register of masks tells it: what a kernel would drop is refused.

Shapes: B batch, S sequence, H heads.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
import transformers
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_triembed import TriEmbedConfig
from .packing import merge_bias
from .position_signal import PositionSignal
from .recording import is_traced

ADDED = ("sdpa", "eager")  # kernels of transformers whose masks (B, 1, S, S) are added to the scores; None: all is seen
OTHERS = ("flash_attention_2", "flex_attention")
REGISTER = "register what makes its mask (transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS)"


def mask_function(kernel: str) -> Callable[..., Any] | None:
    """Return what makes the mask of a kernel; None where no mask is registered, so that it is given none."""
    register: Any = ALL_MASK_ATTENTION_FUNCTIONS._global_mapping
    function: Callable[..., Any] | None = register.get(kernel)
    return function


def takes_mask_of(kernel: str, names: tuple[str, ...]) -> bool:
    """Tell whether the mask of a kernel is made as that of one of these, which transformers knows."""
    function = mask_function(kernel)
    return function is not None and function in [mask_function(name) for name in names]


def reads_boundaries(kernel: str) -> bool:
    """Tell whether a kernel is a flash kernel, which takes `cu_seq_lens_q` for a mask."""
    return "flash" in kernel or takes_mask_of(kernel, ("flash_attention_2",))


def is_of_engine(kernel: str) -> bool:
    """Tell whether a kernel reads no mask and keeps documents apart by itself, as those of serving engines do."""
    return mask_function(kernel) is None and not reads_boundaries(kernel)


def folds_biases(kernel: str, device: torch.device) -> bool:
    """Tell whether a kernel is better served by extra dimensions of query and key than by a bias.

    Flash kernels take no bias at all. On CPU a bias that needs no gradient costs the fused kernel nothing, and the
    extra dimensions would have to be computed.
    """
    return reads_boundaries(kernel) or (kernel == "sdpa" and device.type != "cpu")


def refuse_dropped_bias(config: TriEmbedConfig, kernel: str) -> None:
    """Raise ValueError where a kernel would drop what position types add to the scores."""
    if reads_boundaries(kernel):
        types = [name for name, part in config.position_classes.items() if part.pairwise]
        reason, fix = "flash attention cannot add", ""
    elif is_of_engine(kernel):  # nor may it be folded: engines lay out their memory for the width of a head
        types = [name for name, part in config.position_classes.items() if part.pairwise or part.folds]
        reason, fix = f"{kernel!r} reads no mask, and would drop", f"{REGISTER}, or "
    else:
        return
    if types:
        raise ValueError(
            f"attn_implementation: {reason} the score bias of position_embedding_type {'+'.join(types)!r}; {fix}use "
            "'sdpa', 'eager' or 'flex_attention'"
        )


def refuse_dropped_mask(
    kernel: str, attention_mask: torch.Tensor | None, windows: set[int | None], length: int
) -> None:
    """Raise ValueError where a kernel of an engine would drop a mask or a window over `length` tokens."""
    if not is_of_engine(kernel):
        return
    fix = f"{REGISTER}, or use 'sdpa'"
    near = min((window for window in windows if window is not None), default=length)
    if near < length - 1 and "sliding_window" not in signature(ALL_ATTENTION_FUNCTIONS[kernel]).parameters:
        raise ValueError(
            f"attn_implementation: {kernel!r} takes no `sliding_window`, and layers see {near} tokens to either side; "
            + fix
        )
    if attention_mask is None or is_traced():
        return
    if attention_mask.dim() != 2 or not bool((attention_mask != 0).all()):
        raise ValueError(f"attention_mask: it hides tokens, and attn_implementation {kernel!r} reads no mask; {fix}")


def add_bias(
    config: TriEmbedConfig,
    signal: PositionSignal,
    attention_mask: torch.Tensor | None,
    bias: torch.Tensor,
    *,
    batch: int,
) -> tuple[PositionSignal, torch.Tensor | None]:
    """Add (1|B, H, S, S) to the scores, by the mask or by `signal.bias`, whichever the kernel reads.

    Raises:
        ValueError: the kernel reads neither.
    """
    kernel = config._attn_implementation
    if kernel == "flex_attention":
        if "position_bias" not in signature(flex_attention_forward).parameters:
            raise ValueError(
                f"attn_implementation: flex_attention of transformers {transformers.__version__} would drop the score "
                f"bias of position_embedding_type {config.position_embedding_type!r}; use 'sdpa', or pip install "
                "'transformers>=5.14'"
            )
        bias = bias.expand(batch, -1, -1, -1)  # it reads a bias of each row
        return signal._replace(bias=bias if signal.bias is None else signal.bias + bias), attention_mask
    refuse_dropped_bias(config, kernel)
    dense = isinstance(attention_mask, torch.Tensor) and attention_mask.dim() == 4
    if not dense and not takes_mask_of(kernel, ADDED):
        raise ValueError(
            f"attn_implementation: the mask registered for {kernel!r} is no tensor (B, 1, S, S), so the score bias of "
            f"position_embedding_type {config.position_embedding_type!r} cannot be added to it; use 'sdpa'"
        )
    return signal, merge_bias(attention_mask, bias)


def written_out(kernel: str, rule: Callable[..., torch.Tensor] | None) -> Callable[..., torch.Tensor] | None:
    """Return the rule of who sees whom, None for all; for masks unknown here one that is always written as a tensor.

    Where nothing is hidden a mask may be left out, and then does not tell whether a bias can be added to it.
    """
    is_known = mask_function(kernel) is None or takes_mask_of(kernel, ADDED + OTHERS)
    return rule if rule is not None or is_known else _see_all


def _see_all(batch: object, head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return (query >= 0) & (key >= 0)
