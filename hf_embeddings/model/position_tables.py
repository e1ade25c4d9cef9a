"""Position types that add a vector to token + segment, and the one that adds nothing."""

from typing import Any, ClassVar

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_signal import (
    PositionSignal,
    PositionType,
    check_count,
    dtype_of,
    frequency_angles,
    geometric_frequencies,
)
from .resizing import resized


class LearnedPosition(PositionType):
    """Look a trained vector up for each position (BERT, https://arxiv.org/abs/1810.04805)."""

    absolute = True
    has_table = True
    # Rows before that of the first position: 2 in RoBERTa and MPNet, which number from the padding id on.
    option_defaults: ClassVar[dict[str, Any]] = {"offset": 0}
    beyond = "refused: the table has no rows; `resize_position_embeddings` makes some"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.offset = self.options["offset"]
        self.length = config.max_position_embeddings
        self.table = nn.Embedding(self.length + self.offset, config.input_size)

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse an offset that is no number of rows."""
        offset = cls.read_options(config)["offset"]
        if not isinstance(offset, int) or offset < 0:
            raise ValueError(
                f"position_parameters: learned.offset: got {offset!r}, expected a number of rows, 0 or more"
            )

    def resize(self, length: int, how: str) -> None:
        """Give the table rows for `length` positions; rows before the first stay."""
        self.table = resized(self.table, length + self.offset, how=how, fixed_rows=self.offset)
        self.length = length

    @property
    def length_limit(self) -> int:
        """Return the rows of the table that belong to positions."""
        return self.length

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids, which count from 0, to a summand."""
        return PositionSignal(summand=self.table(position_ids + self.offset))


class SinusoidalPosition(PositionType):
    """Add sin(p / 10000^(2i/D)) in even and cos in odd dimensions (https://arxiv.org/abs/1706.03762, section 3.5).

    With the option `learned_scale`, one trained number scales them all. It starts at 1 / sqrt(D), so that positions do
    not drown the much smaller token vectors of a new model (https://arxiv.org/abs/2212.14034).
    """

    absolute = True
    option_defaults: ClassVar[dict[str, Any]] = {"learned_scale": False}

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.width = config.input_size
        self.scale = nn.Parameter(torch.tensor([self.width**-0.5])) if self.options["learned_scale"] else None

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse an odd width: sines and cosines come in pairs."""
        if config.input_size % 2:
            name = "hidden_size" if config.input_size == config.hidden_size else "embedding_size"
            raise ValueError(f"{name}: sinusoidal positions need an even {name}, got {config.input_size}")

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a summand."""
        frequencies = geometric_frequencies(self.width, 10_000.0, dtype, position_ids.device)
        angles = frequency_angles(position_ids, frequencies)  # (1|B, S, D/2)
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
        return PositionSignal(summand=table if self.scale is None else table * self.scale.to(dtype))


class FourierPosition(PositionType):
    """Add MLP([sin(w p), cos(w p)]) with trained frequencies w (https://arxiv.org/abs/2106.02795).

    Frequencies are trained as logarithms of factors on the sinusoidal ones, so they start there and stay positive.
    """

    absolute = True
    kept_exact = ("log_frequencies",)  # in bf16 one would be wrong by whole turns a few hundred positions on
    option_defaults: ClassVar[dict[str, Any]] = {"num_frequencies": 64}

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        count, width = self.options["num_frequencies"], config.input_size
        self.log_frequencies = nn.Parameter(torch.zeros(count))
        self.up = nn.Linear(2 * count, width)
        self.down = nn.Linear(width, width)

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse a number of frequencies that is none."""
        check_count(cls, config, "fourier", "num_frequencies")

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a summand."""
        count = self.options["num_frequencies"]
        frequencies = geometric_frequencies(2 * count, 10_000.0, dtype, position_ids.device)
        angles = frequency_angles(position_ids, frequencies * self.log_frequencies.to(dtype).exp())  # (1|B, S, F)
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1).to(dtype_of(self.up))
        return PositionSignal(summand=self.down(nn.functional.gelu(self.up(waves))))


class NoPosition(PositionType):
    """Contribute nothing: the encoder is then blind to order (the control of every position experiment)."""

    beyond = "nothing changes: there are no positions"

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Ignore the ids."""
        return PositionSignal()
