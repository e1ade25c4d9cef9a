"""Position types whose score bias is a product of something of the query position and something of the key position.

Such a bias folds exactly into extra dimensions of query and key (https://arxiv.org/abs/2505.12044), so that kernels
without a bias argument (flash and variable-length attention) serve it.

Shapes: B batch, S sequence, D hidden, H heads, K head width, M terms of a series.
"""

from typing import Any, ClassVar

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_signal import PositionSignal, PositionType, check_count, geometric_frequencies
from .resizing import resized


class UntiedPosition(PositionType):
    """Add (p_i U)(p_j V) / sqrt(2K), positions apart from words (TUPE, https://arxiv.org/abs/2006.15595).

    p is a trained, normalised table; U and V are shared by all layers, and the words' product is divided by the same
    root. Position 0 is the [CLS] token, which is reset: its scores for others, and theirs for it, are two trained
    numbers per head.
    """

    absolute = True
    folds = True
    has_table = True
    beyond = "refused: the table has no rows; `resize_position_embeddings` makes some"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.head_dim = width // config.num_attention_heads
        self.length = config.max_position_embeddings
        self.table = nn.Embedding(self.length, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.reset = nn.Parameter(torch.zeros(2, config.num_attention_heads))  # from [CLS], to [CLS]

    @classmethod
    def score_terms(cls, config: PreTrainedConfig) -> int:
        """Count the product of positions."""
        return 1

    def resize(self, length: int, how: str) -> None:
        """Give the table `length` rows."""
        self.table = resized(self.table, length, how=how)
        self.length = length

    @property
    def length_limit(self) -> int:
        """Return the rows of the table."""
        return self.length

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a fold of K + 2 dimensions."""
        table = self.norm(self.table(position_ids))
        first = (position_ids == 0)[..., None, None].to(dtype)  # (1|B, S, 1, 1)
        query, key = (
            project(table).to(dtype).unflatten(-1, (-1, self.head_dim)) * (1 - first)
            for project in (self.query, self.key)
        )
        here, there = self.reset.to(dtype)[:, None, :, None]  # (1, H, 1) each
        heads = torch.ones_like(query[..., :1])  # (1|B, S, H, 1)
        query = torch.cat((query * (2 * self.head_dim) ** -0.5, heads * first, heads * (1 - first)), dim=-1)
        key = torch.cat((key, heads * here, heads * first * there), dim=-1)
        return PositionSignal(fold=(query, key))


class CosineBiasPosition(PositionType):
    """Add a trained series sum_m a_m cos(w_m (i - j) + f_m) for each head.

    Amplitudes, frequencies and phases are trained; a phase other than 0 tells left from right. By the addition theorem
    each term is two products. Sandwich (https://arxiv.org/abs/2212.10356) is such a series with fixed numbers.
    """

    folds = True
    kept_exact = ("log_frequencies",)  # in bf16 one would be wrong by whole turns a few hundred positions on
    option_defaults: ClassVar[dict[str, Any]] = {"num_terms": 16}

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        shape = (config.num_attention_heads, self.options["num_terms"])
        self.amplitudes = nn.Parameter(torch.full(shape, 1.0 / shape[1]))
        self.phases = nn.Parameter(torch.zeros(shape))
        self.log_frequencies = nn.Parameter(torch.zeros(shape))  # of factors on the sinusoidal frequencies

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse a number of terms that is none."""
        check_count(cls, config, "cosine_bias", "num_terms")

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a fold of 2M dimensions."""
        frequencies = geometric_frequencies(2 * self.options["num_terms"], 10_000.0, dtype, position_ids.device)
        frequencies = frequencies * self.log_frequencies.to(dtype).exp()  # (H, M)
        angles = position_ids[..., None, None].to(dtype) * frequencies  # (1|B, S, H, M)
        shifted_angles = angles + self.phases.to(dtype)
        amplitudes = self.amplitudes.to(dtype)
        query = torch.cat((shifted_angles.cos() * amplitudes, shifted_angles.sin() * amplitudes), dim=-1)
        return PositionSignal(fold=(query, torch.cat((angles.cos(), angles.sin()), dim=-1)))
