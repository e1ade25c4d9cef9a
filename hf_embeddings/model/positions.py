"""The position types by name, and the sum of those that a model uses.

Shapes: B batch, S sequence, D hidden, H heads, K head width.
"""

import torch
from torch import nn

from .position_biases import AlibiPosition, AsymmetricAlibiPosition, RelativeBiasPosition
from .position_contents import DisentangledPosition, RelativeKeyPosition, RelativeKeyQueryPosition
from .position_rotations import RotaryPosition
from .position_signal import PositionSignal, PositionType
from .position_tables import LearnedPosition, NoPosition, SinusoidalPosition


class Positions(nn.ModuleDict):
    """The parts that `position_embedding_type` names, applied as one: summands and biases add up."""

    def __init__(self, config) -> None:
        super().__init__({name: part(config) for name, part in config.position_classes.items()})

    @property
    def length_limit(self) -> int | None:
        """Return the number of positions that all parts can tell, None for no limit."""
        limits = [part.length_limit for part in self.values() if part.length_limit is not None]
        return min(limits) if limits else None

    @property
    def length_dependent(self) -> bool:
        """Whether a part looks at where a document ends."""
        return any(part.length_dependent for part in self.values())

    @property
    def pairwise(self) -> bool:
        """Whether a part says something of each pair of tokens."""
        return any(part.pairwise for part in self.values())

    def absolute(self, *, pairwise: bool) -> bool:
        """Tell whether a part of that kind needs to know where a document starts; others see differences only."""
        return any(part.absolute for part in self.values() if part.pairwise == pairwise)

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to the joint signal of all parts; `content` is a dict by type name."""
        return _join(dict(self.items()), position_ids, dtype)

    def per_token(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Return the signal of the parts that say something of each token: summand and rotation."""
        return _join({name: part for name, part in self.items() if not part.pairwise}, position_ids, dtype)

    def per_pair(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Return the signal of the parts that say something of each pair of tokens: bias and content."""
        return _join({name: part for name, part in self.items() if part.pairwise}, position_ids, dtype)


class LayerPositions(nn.ModuleDict):
    """The per-layer parts of the position types that have one; their scores add up."""

    def __init__(self, config) -> None:
        parts = {name: part.layer_part for name, part in config.position_classes.items()}
        super().__init__({name: part(config) for name, part in parts.items() if part is not None})

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, content: dict[str, object], attention: nn.Module
    ) -> torch.Tensor:
        """Map (B, H, S, K) query and key to unscaled scores (1|B, H, S, S); `content` as in the joint signal."""
        return _total([part(query, key, content[name], attention) for name, part in self.items()])


def _join(parts: dict[str, PositionType], position_ids: torch.Tensor, dtype: torch.dtype) -> PositionSignal:
    signals = {name: part(position_ids, dtype) for name, part in parts.items()}
    return PositionSignal(
        summand=_total([signal.summand for signal in signals.values()]),
        rotation=_only([signal.rotation for signal in signals.values()]),
        bias=_total([signal.bias for signal in signals.values()]),
        local_rotation=_only([signal.local_rotation for signal in signals.values()]),
        content={name: signal.content for name, signal in signals.items() if signal.content is not None} or None,
    )


def _only(values: list[object]) -> object | None:
    return next((value for value in values if value is not None), None)


def _total(terms: list[torch.Tensor | None]) -> torch.Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None


def register_position_type(name: str, position_type: type[PositionType]) -> None:
    """Make `position_type` a value of `position_embedding_type`.

    Checkpoints that use it load wherever this call has been made before.

    Raises:
        ValueError: the name is taken by another class, or holds a `+`, or the class is no PositionType.
    """
    if not (isinstance(position_type, type) and issubclass(position_type, PositionType)):
        raise ValueError(f"register_position_type: got {position_type!r}, expected a subclass of PositionType")
    if not name.isidentifier():
        raise ValueError(f"register_position_type: got the name {name!r}, expected letters, digits and underscores")
    if POSITION_TYPES.get(name, position_type) is not position_type:
        raise ValueError(
            f"register_position_type: {name!r} is {POSITION_TYPES[name].__name__} already; take another name"
        )
    POSITION_TYPES[name] = position_type


POSITION_TYPES: dict[str, type[PositionType]] = {
    "learned": LearnedPosition,
    "sinusoidal": SinusoidalPosition,
    "none": NoPosition,
    "rope": RotaryPosition,
    "alibi": AlibiPosition,
    "alibi_asymmetric": AsymmetricAlibiPosition,
    "relative_bias": RelativeBiasPosition,
    "relative_key": RelativeKeyPosition,
    "relative_key_query": RelativeKeyQueryPosition,
    "disentangled": DisentangledPosition,
}

# Considered and left out, with the reason, for those who ask by name.
LEFT_OUT = {
    "xpos": "xPos scales by a factor that grows to one side, so it is defined for causal attention only; use 'rope'",
    "cope": "CoPE counts tokens that a causal query looks back at; for bidirectional attention the count is undefined",
    "cable": "CABLE has no agreed bidirectional form; register your own type with `register_position_type`",
    "pope": "PoPE doubles the query width and has no evidence for encoders yet; register your own type",
    "sandwich": "Sandwich is a fixed sum of cosines of i - j; 'cosine_bias' is its trained form",
    "absolute": "transformers 4 calls it 'absolute'; here it is 'learned'",
}
