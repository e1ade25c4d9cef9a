"""Position types that add a vector to token + segment, and the one that adds nothing."""

import torch
from torch import nn

from .position_signal import PositionSignal, PositionType, frequency_angles, geometric_frequencies


class LearnedPosition(PositionType):
    """Look a trained vector up for each position (BERT, https://arxiv.org/abs/1810.04805)."""

    absolute = True
    beyond = "refused: the table has no rows; `resize_position_embeddings` makes some"

    def __init__(self, config) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    @property
    def length_limit(self) -> int:
        """Return the rows of the table."""
        return self.table.num_embeddings

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids below the number of rows to a summand."""
        return PositionSignal(summand=self.table(position_ids))


class SinusoidalPosition(PositionType):
    """Add sin(p / 10000^(2i/D)) in even and cos in odd dimensions (https://arxiv.org/abs/1706.03762, section 3.5)."""

    absolute = True

    def __init__(self, config) -> None:
        super().__init__(config)
        self.hidden_size = config.hidden_size

    @classmethod
    def check(cls, config) -> None:
        """Refuse an odd width: sines and cosines come in pairs."""
        if config.hidden_size % 2:
            raise ValueError(f"hidden_size: sinusoidal positions need an even hidden_size, got {config.hidden_size}")

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a summand."""
        frequencies = geometric_frequencies(self.hidden_size, 10_000.0, dtype, position_ids.device)
        angles = frequency_angles(position_ids, frequencies)  # (1|B, S, D/2)
        return PositionSignal(summand=torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2))


class NoPosition(PositionType):
    """Contribute nothing: the encoder is then blind to order (the control of every position experiment)."""

    beyond = "nothing changes: there are no positions"

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Ignore the ids."""
        return PositionSignal()
