"""The position types by name, and the sum of those that a model uses.

Shapes: B batch, S sequence, D hidden, H heads, K head width.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_biases import (
    AlibiPosition,
    AsymmetricAlibiPosition,
    FirePosition,
    KerplePosition,
    RelativeBiasPosition,
)
from .position_contents import DisentangledPosition, RelativeKeyPosition, RelativeKeyQueryPosition
from .position_folds import CosineBiasPosition, UntiedPosition
from .position_paths import ContextAwarePosition
from .position_rotations import HighFrequencyPosition, RotaryPosition
from .position_sentences import BilevelPosition
from .position_signal import PositionSignal, PositionType, unfold
from .position_tables import FourierPosition, LearnedPosition, NoPosition, SinusoidalPosition
from .position_triangles import DualTrianglePosition

if TYPE_CHECKING:
    from collections.abc import ItemsView, ValuesView


Rotation = tuple[torch.Tensor, torch.Tensor]  # cos and sin


class Positions(nn.ModuleDict):
    """The parts that `position_embedding_type` names."""

    if TYPE_CHECKING:

        def items(self) -> "ItemsView[str, PositionType]":
            """Return the parts with their names."""

        def values(self) -> "ValuesView[PositionType]":
            """Return the parts."""

    def __init__(self, config: PreTrainedConfig) -> None:
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
    def segmented(self) -> bool:
        """Whether a part asks which sentence a token is in."""
        return any(part.segmented for part in self.values())

    @property
    def separators(self) -> tuple[int, ...]:
        """Return the ids of tokens that end a sentence."""
        return tuple(token for part in self.values() if part.segmented for token in part.separators)

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to the joint signal of all parts, folds as a bias; `content` is a dict by type name."""
        return unfold(PositionParts(dict(self.items()))(position_ids, dtype))

    def split(self, *, folding: bool) -> tuple["PositionParts", "PositionParts"]:
        """Return the parts that say something of each token (summand, rotation, fold), and of each pair of tokens.

        The second give bias and content; without `folding` they include those that fold, with their bias.
        """
        pairs = {name: part for name, part in self.items() if part.pairwise or (part.folds and not folding)}
        tokens = {name: part for name, part in self.items() if name not in pairs}
        return PositionParts(tokens), PositionParts(pairs, unfolds=True)


class PositionParts:
    """Some parts of the positions of a model, applied as one: summands and biases add up."""

    def __init__(self, parts: dict[str, PositionType], *, unfolds: bool = False) -> None:
        self.parts = parts
        self.unfolds = unfolds

    def __bool__(self) -> bool:
        """Tell whether there is any part."""
        return bool(self.parts)

    @property
    def absolute(self) -> bool:
        """Whether a part needs to know where a document starts; others see differences of positions only."""
        return any(part.absolute for part in self.parts.values())

    @property
    def counts_tokens(self) -> bool:
        """Whether a part adds up over the tokens between two."""
        return any(part.counts_tokens for part in self.parts.values())

    def __call__(
        self, position_ids: torch.Tensor, dtype: torch.dtype, segments: torch.Tensor | None = None
    ) -> PositionSignal:
        """Map (1|B, S) ids, and (1|B, S, 2) segments where a part asks for them, to the joint signal."""
        signals = {
            name: part(position_ids, dtype, segments) if part.segmented else part(position_ids, dtype)
            for name, part in self.parts.items()
        }
        joint = PositionSignal(
            summand=_total([signal.summand for signal in signals.values()]),
            rotation=_only([signal.rotation for signal in signals.values()]),
            bias=_total([signal.bias for signal in signals.values()]),
            local_rotation=_only([signal.local_rotation for signal in signals.values()]),
            fold=_side_by_side([signal.fold for signal in signals.values()]),
            content={name: signal.content for name, signal in signals.items() if signal.content is not None} or None,
        )
        return unfold(joint) if self.unfolds else joint


class LayerPositions(nn.ModuleDict):
    """The per-layer parts of the position types that have one; their scores add up."""

    def __init__(self, config: PreTrainedConfig) -> None:
        parts = {name: part.layer_part for name, part in config.position_classes.items()}
        super().__init__({name: part(config) for name, part in parts.items() if part is not None})

    def of_tokens(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map (B, S, D), the input of the layer, to what parts read beside query and key, (B, S, H, W) each."""
        readers: list[Any] = [part for part in self.values() if hasattr(part, "of_tokens")]
        return tuple(part.of_tokens(hidden_states) for part in readers)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        content: dict[str, object],
        attention: nn.Module,
        of_tokens: tuple[torch.Tensor, ...] = (),
    ) -> torch.Tensor:
        """Map (B, H, S, K) query and key to unscaled scores (1|B, H, S, S).

        `content` is as in the joint signal, `of_tokens` as from the method of that name, (B, H, S, W).
        """
        read = iter(of_tokens)
        total = _total(
            [
                part(query, key, content[name], attention, *([next(read)] if hasattr(part, "of_tokens") else []))
                for name, part in self.items()
            ]
        )
        assert total is not None, "called where there are parts"
        return total


def _side_by_side(
    folds: list[tuple[torch.Tensor, torch.Tensor] | None],
) -> tuple[torch.Tensor, torch.Tensor] | None:
    present = [fold for fold in folds if fold is not None]
    if len(present) < 2:
        return present[0] if present else None
    rows = max(query.shape[0] for query, _ in present)
    query, key = (torch.cat([fold[i].expand(rows, -1, -1, -1) for fold in present], dim=-1) for i in range(2))
    return query, key


def _only(values: list[Rotation | None]) -> Rotation | None:
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
    "fourier": FourierPosition,
    "none": NoPosition,
    "rope": RotaryPosition,
    "hope": HighFrequencyPosition,
    "alibi": AlibiPosition,
    "alibi_asymmetric": AsymmetricAlibiPosition,
    "kerple": KerplePosition,
    "fire": FirePosition,
    "relative_bias": RelativeBiasPosition,
    "relative_key": RelativeKeyPosition,
    "relative_key_query": RelativeKeyQueryPosition,
    "disentangled": DisentangledPosition,
    "tupe": UntiedPosition,
    "cosine_bias": CosineBiasPosition,
    "cable": ContextAwarePosition,
    "dual_triangle": DualTrianglePosition,
    "bipe": BilevelPosition,
}

# Considered and left out, with the reason, for those who ask by name.
LEFT_OUT = {
    "xpos": "xPos scales by a factor that grows to one side, so it is defined for causal attention only; use 'rope'",
    "cope": "CoPE counts tokens that a causal query looks back at; for bidirectional attention the count is undefined",
    "bipe_rope": "it is 'bipe'",
    "bipe_alibi": "BiPE turns by the number of the sentence, as its RoPE form does; use 'bipe'",
    "pope": "PoPE doubles the query width and has no evidence for encoders yet; register your own type",
    "sandwich": "Sandwich is a fixed sum of cosines of i - j; 'cosine_bias' is its trained form",
    "absolute": "transformers 4 calls it 'absolute'; here it is 'learned'",
}
