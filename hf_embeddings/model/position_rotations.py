"""Position types that turn query and key: RoPE with all of transformers' scalings.

Shapes: B batch, S sequence, K head width, R rotated dimensions (R <= K).
"""

import math
from typing import Any, ClassVar

import torch

from .compat import PreTrainedConfig, rope_function
from .documents import document_ends
from .position_signal import PositionSignal, PositionType, frequency_angles, geometric_frequencies

LENGTH_DEPENDENT = ("dynamic", "longrope")


class RotaryPosition(PositionType):
    """Turn pairs of query and key dimensions by angles p * theta^(-2i/R) (RoFormer, https://arxiv.org/abs/2104.09864).

    `rope_parameters` are transformers': rope_type default, linear, dynamic (NTK), yarn, longrope, llama3 or
    proportional, `partial_rotary_factor`, and one dict for each of "full_attention" and "sliding_attention" where local
    layers turn at other speeds than global ones (null: they do not turn). Where frequencies depend on the length
    (dynamic, longrope), it is the length of the own document, so neighbours in a batch or a packed row change nothing.
    """

    rotary = True
    exclusive = "rotation"
    beyond = (
        "defined for every position; `rope_parameters` with rope_type linear, dynamic, yarn, longrope or llama3 extend"
    )

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.config = config

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse unknown kinds, missing parameters and widths that do not come in pairs."""
        head_dim = config.hidden_size // config.num_attention_heads
        for layer_type, parameters in _by_layer_type(config).items():
            if parameters is None:
                continue
            kind = parameters["rope_type"]
            _check_kind(kind, parameters, layer_type)
            width = _rotated_width(head_dim, parameters)
            if width % 2 or width == 0:
                raise ValueError(
                    f"num_attention_heads: rope turns pairs of dimensions, but head width {head_dim} (hidden_size / "
                    f"num_attention_heads) times partial_rotary_factor {parameters.get('partial_rotary_factor', 1.0)} "
                    f"is {width}, which is {'odd' if width else 'nothing'}; choose an even width"
                )
            for name in ("short_factor", "long_factor"):
                if kind == "longrope" and len(parameters[name]) != width // 2:
                    raise ValueError(
                        f"rope_parameters: {name} has {len(parameters[name])} entries, expected one for each of the "
                        f"{width // 2} pairs of rotated dimensions"
                    )

    @property
    def length_dependent(self) -> bool:  # type: ignore[override]  # follows from the config
        """Whether frequencies depend on the length of the document."""
        return any(p and p["rope_type"] in LENGTH_DEPENDENT for p in _by_layer_type(self.config).values())

    @property
    def absolute(self) -> bool:  # type: ignore[override]
        """Whether positions must count from the start of the document: its length is read off them."""
        return self.length_dependent

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to cos and sin; dimension i is paired with dimension i + R/2, as in transformers."""
        kinds = _by_layer_type(self.config)
        rotations = {name: self._rotation(position_ids, name, dtype) for name in kinds}
        whole = rotations.get("full_attention")
        return PositionSignal(rotation=whole, local_rotation=rotations.get("sliding_attention", whole))

    def pinned_options(self) -> dict[str, object]:
        """Refuse dynamic scaling, which starts from `max_position_embeddings` as the trained length."""
        if any(p and p["rope_type"] == "dynamic" for p in _by_layer_type(self.config).values()):
            raise ValueError(
                "rope_parameters: rope_type 'dynamic' takes max_position_embeddings for the trained length; choose "
                "another rope_type before resize_position_embeddings"
            )
        return {}

    def _rotation(
        self, position_ids: torch.Tensor, layer_type: str, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        parameters = _by_layer_type(self.config)[layer_type]
        if parameters is None:
            return None
        frequencies, factor = self.frequencies(position_ids, parameters, layer_type, dtype)
        angles = frequency_angles(position_ids, frequencies)  # (1|B, S, R/2)
        angles = torch.cat((angles, angles), dim=-1)  # (1|B, S, R)
        return angles.cos() * factor, angles.sin() * factor

    def frequencies(
        self, position_ids: torch.Tensor, parameters: dict[str, Any], layer_type: str, dtype: torch.dtype
    ) -> tuple[torch.Tensor, float]:
        """Return (R/2,) or, where they depend on lengths, (1|B, S, R/2) frequencies, and a factor for cos and sin."""
        kind, device = parameters["rope_type"], position_ids.device
        if kind == "default":
            width = _rotated_width(self.config.hidden_size // self.config.num_attention_heads, parameters)
            return geometric_frequencies(width, parameters["rope_theta"], dtype, device), 1.0
        own_type = layer_type if layer_type in self.config.rope_parameters else None
        compute = rope_function(kind)
        if kind not in LENGTH_DEPENDENT:
            values, factor = compute(self.config, device, layer_type=own_type)
        elif kind == "dynamic":
            length = (document_ends(position_ids) + 1)[..., None]  # (1|B, S, 1)
            values, factor = compute(self.config, device, seq_len=length, layer_type=own_type)
        else:
            trained_length = parameters["original_max_position_embeddings"]
            short, factor = compute(self.config, device, layer_type=own_type)
            long, _ = compute(self.config, device, seq_len=trained_length + 1, layer_type=own_type)
            values = torch.where((document_ends(position_ids) >= trained_length)[..., None], long, short)
        return values.to(dtype), factor


class HighFrequencyPosition(RotaryPosition):
    """Turn by RoPE's high frequencies only (HoPE, https://arxiv.org/abs/2410.21216).

    Pairs of dimensions that would not come full circle within the trained length do not turn at all: they carry content
    without position.
    """

    option_defaults: ClassVar[dict[str, Any]] = {"trained_length": None}  # None: max_position_embeddings
    beyond = "defined for every position: the frequencies that would be new there do not turn"

    def frequencies(
        self, position_ids: torch.Tensor, parameters: dict[str, Any], layer_type: str, dtype: torch.dtype
    ) -> tuple[torch.Tensor, float]:
        """Return the frequencies of RoPE, 0 for those that are too low."""
        values, factor = super().frequencies(position_ids, parameters, layer_type, dtype)
        return values.masked_fill(values * self.trained_length < 2 * math.pi, 0.0), factor

    @property
    def trained_length(self) -> int:
        """Return the number of positions that frequencies must come round in."""
        return self.options["trained_length"] or self.config.max_position_embeddings

    def pinned_options(self) -> dict[str, object]:
        """Return the trained length."""
        return super().pinned_options() | {"trained_length": self.trained_length}


# What each kind of RoPE in transformers' `rope_parameters` cannot do without.
REQUIRED = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "proportional": (),
}


def _check_kind(kind: str, parameters: dict[str, Any], layer_type: str) -> None:
    if kind not in REQUIRED:
        raise ValueError(f"rope_parameters: got rope_type {kind!r}, expected one of {', '.join(REQUIRED)}")
    if kind != "default":
        rope_function(kind)  # this transformers knows it
    if missing := [name for name in REQUIRED[kind] if parameters.get(name) is None]:
        raise ValueError(f"rope_parameters: rope_type {kind!r} needs {', '.join(missing)} ({layer_type})")


def _by_layer_type(config: PreTrainedConfig) -> dict[str, dict[str, Any] | None]:
    """Return RoPE parameters by layer type; one entry, "full_attention", where all layers share them."""
    own_types = [name for name in config.rope_parameters if name in (config.layer_types or ())]
    if not own_types:
        return {"full_attention": config.rope_parameters}
    if missing := sorted(set(config.layer_types) - set(own_types)):
        raise ValueError(f"rope_parameters: {missing[0]!r} is missing; give its parameters, or null for no rotation")
    return {name: config.rope_parameters[name] for name in own_types}


def _rotated_width(head_dim: int, parameters: dict[str, Any]) -> int:
    # "proportional" keeps the full width and gives the dimensions that do not turn the frequency 0.
    if parameters["rope_type"] == "proportional":
        return head_dim
    return int(head_dim * parameters.get("partial_rotary_factor", 1.0))
