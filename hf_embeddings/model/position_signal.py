"""What a position type is: the signal that it returns, and the class that every type derives from.

Shapes: B batch, S sequence, D hidden, H heads, K head width, R rotated dimensions.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from .compat import PreTrainedConfig


class PositionSignal(NamedTuple):
    """What a position type contributes; a field that is None contributes nothing."""

    summand: torch.Tensor | None = None  # (1|B, S, D) added to token + segment
    rotation: tuple[torch.Tensor, torch.Tensor] | None = None  # (1|B, S, R) cos and sin, for layers of full attention
    bias: torch.Tensor | None = None  # (1|B, H, S, S) added to the attention scores
    local_rotation: tuple[torch.Tensor, torch.Tensor] | None = None  # as rotation, for layers of sliding attention
    fold: tuple[torch.Tensor, torch.Tensor] | None = None  # (1|B, S, H, E) each; query times key is a score bias
    content: Any = None  # what the type's `layer_part` reads; in a joint signal a dict by type name


class PositionType(nn.Module):
    """A position type: one class, one entry in `POSITION_TYPES` (or one call of `register_position_type`).

    A subclass implements `forward(position_ids, dtype) -> PositionSignal` and states below how it differs. Nothing may
    be a buffer: tables are trained, or computed in `dtype` (fp32, or fp64 for an fp64 model) from a few numbers at each
    forward pass, so a reload, a cast to bf16 or a move to another device cannot damage them.
    """

    absolute: bool = False  # it needs to know where a document starts; others see differences of positions only
    has_table: bool = False  # `max_position_embeddings` is the size of a trained table
    pairwise: bool = False  # it returns something of size S x S; fused kernels without a bias argument are refused
    folds: bool = False  # its bias is a product, `PositionSignal.fold`, that kernels without a bias argument can take
    exclusive: str | None = None  # of the types that name the same thing here, a model can use one
    length_dependent: bool = False  # it looks at where a document ends
    counts_tokens: bool = False  # it adds up over the tokens between two: those of padding then count for nothing
    segmented: bool = False  # `forward` takes `segments` as well, see `segments.py`; for types that are not pairwise
    separators: tuple[int, ...] = ()  # of a segmented type: ids of the tokens that end a sentence
    rotary: bool = False  # it reads `rope_parameters`
    layer_part: type[nn.Module] | None = None  # made once in each attention: scores that depend on query and key
    kept_exact: tuple[str, ...] = ()  # parameters that stay in fp32 where a model is loaded in 16 bits
    option_defaults: ClassVar[dict[str, Any]] = {}  # options, with defaults, that `position_parameters` may set
    beyond: str = "defined for every position"  # what happens past `max_position_embeddings`

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.options = self.read_options(config)

    def restart(self, config: PreTrainedConfig) -> None:
        """Give the parameters of the type itself, not those of its layers, their start values if none were loaded."""
        own = dict(self.named_parameters(recurse=False))
        if not own or any(parameter.is_meta for parameter in own.values()):
            return
        with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
            start = dict(type(self)(config).named_parameters(recurse=False))
            for name, parameter in own.items():
                if not getattr(parameter, "_is_hf_initialized", False) and parameter.shape == start[name].shape:
                    parameter.copy_(start[name])

    @classmethod
    def read_options(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """Return the options of this type: those that the config gives, defaults for the rest."""
        names = [name for name, part in config.position_classes.items() if part is cls]
        return cls.option_defaults | ((config.position_parameters or {}).get(names[0], {}) if names else {})

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Raise ValueError where the config contradicts this type."""

    @classmethod
    def score_terms(cls, config: PreTrainedConfig) -> int:
        """Count the products that the score adds to query times key and that share its scale 1 / sqrt(K * terms)."""
        return 0

    def resize(self, length: int, how: str) -> None:
        """Give the tables, if any, rows for `length` positions (see `resizing.resized`)."""

    def pinned_options(self) -> dict[str, object]:
        """Return options that keep the type as it is when `max_position_embeddings` changes."""
        return {}

    @property
    def length_limit(self) -> int | None:
        """Return the number of positions that the type can tell, None for no limit."""
        return None

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) position ids to the signal."""
        raise NotImplementedError(f"{type(self).__name__}.forward: a position type must return a PositionSignal")


def all_rows(table: nn.Module, rows: int, device: torch.device) -> torch.Tensor:
    """Return the rows (R, W) of a table by calling it, as adapters, offloading and quantization expect."""
    return table(torch.arange(rows, device=device))


def dtype_of(module: nn.Module, otherwise: torch.dtype = torch.float32) -> torch.dtype:
    """Return the dtype of the first floating-point parameter of a module; those of a quantized one may be none."""
    return next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), otherwise)


class ExactLinear(nn.Linear):
    """A linear layer that multiplies in the dtype of its input, whatever the dtype of its weights."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map (..., I) to (..., O)."""
        if type(self.weight) not in (nn.Parameter, torch.Tensor):  # quantized: it knows how to be multiplied
            return super().forward(states.to(self.weight.dtype)).to(states.dtype)
        weight, bias = self.weight.to(states.dtype), self.bias.to(states.dtype)
        if self.in_features == 1:
            return states * weight[:, 0] + bias
        return nn.functional.linear(states, weight, bias)


def check_count(position_type: type[PositionType], config: PreTrainedConfig, name: str, option: str) -> None:
    """Raise ValueError where the option of a type is no whole number above 0."""
    count = position_type.read_options(config)[option]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"position_parameters: {name}.{option}: got {count!r}, expected a whole number, 1 or more")


def frequency_angles(position_ids: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """Multiply (1|B, S) positions by (F,) or (1|B, S, F) frequencies in their dtype; bf16 would err by whole turns."""
    return position_ids[..., None].to(frequencies.dtype) * frequencies


def geometric_frequencies(width: int, theta: float, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return theta^(-2i/width) for i below width/2, the frequencies of sinusoids and of RoPE."""
    exponent = torch.arange(0, width, 2, device=device).to(dtype) / width
    return 1.0 / theta**exponent


def position_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which positions of a model of `dtype` are computed: fp32 at least."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def unfold(signal: PositionSignal) -> PositionSignal:
    """Multiply the fold of a signal out into a bias (1|B, H, S, S)."""
    if signal.fold is None:
        return signal
    query, key = signal.fold
    product = query.transpose(1, 2) @ key.permute(0, 2, 3, 1)
    return signal._replace(fold=None, bias=product if signal.bias is None else signal.bias + product)


def offsets(position_ids: torch.Tensor) -> torch.Tensor:
    """Key position minus query position, (1|B, S, S)."""
    return position_ids[:, None, :] - position_ids[:, :, None]
