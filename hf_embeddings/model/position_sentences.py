"""A position type of two levels: the position in the sentence, and the number of the sentence.

Shapes: B batch, S sequence, D hidden, R rotated dimensions.
"""

from typing import Any, ClassVar

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_rotations import LENGTH_DEPENDENT, RotaryPosition
from .position_signal import PositionSignal
from .resizing import resized


class BilevelPosition(RotaryPosition):
    """Add a trained vector for the position in the sentence, and turn query and key by the number of the sentence.

    This is BiPE-RoPE (https://arxiv.org/abs/2401.16421). A sentence ends after a token of `separators` (token ids; a
    new model gets those of its tokenizer for full stops, question marks and the like), where the segment id changes,
    and where the document does. Tokens of the same sentence are not turned against each other.
    """

    absolute = False  # rotations that depend on lengths are refused
    has_table = True
    segmented = True
    option_defaults: ClassVar[dict[str, Any]] = {"separators": None}  # None: segment ids alone divide
    beyond = "defined: tokens from max_position_embeddings on in one sentence share the last vector"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.separators = tuple(self.options["separators"] or ())
        self.length = config.max_position_embeddings
        self.table = nn.Embedding(self.length, config.input_size)

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse separators that are no token ids, and rotations that depend on the number of tokens."""
        super().check(config)
        separators = cls.read_options(config)["separators"]
        if separators is not None and not (
            isinstance(separators, list)
            and all(type(token) is int and 0 <= token < config.vocab_size for token in separators)
        ):
            raise ValueError(
                f"position_parameters: bipe.separators: got {separators!r}, expected token ids below vocab_size "
                f"{config.vocab_size}"
            )
        kinds = [config.rope_parameters, *(config.rope_parameters.get(name) for name in set(config.layer_types or ()))]
        for kind in kinds:
            if kind and kind.get("rope_type") in LENGTH_DEPENDENT:
                raise ValueError(
                    f"rope_parameters: rope_type {kind['rope_type']!r} depends on the number of tokens, and 'bipe' "
                    "turns by the number of the sentence; choose another"
                )

    def resize(self, length: int, how: str) -> None:
        """Give the table `length` rows."""
        self.table = resized(self.table, length, how=how)
        self.length = length

    def forward(
        self,
        position_ids: torch.Tensor,
        dtype: torch.dtype = torch.float32,
        segments: torch.Tensor | None = None,
    ) -> PositionSignal:
        """Map (1|B, S, 2) segments, see `segments.py`, to summand and rotation; without any all is one sentence."""
        inside = position_ids if segments is None else segments[..., 0]
        number = torch.zeros_like(position_ids) if segments is None else segments[..., 1]
        summand = self.table(inside.clamp(max=self.length - 1))
        return super().forward(number, dtype)._replace(summand=summand)
