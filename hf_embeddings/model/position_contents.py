"""Position types whose scores depend on what stands at a position: relative keys, and disentangled attention.

Each has a part in every attention layer (`layer_part`), which is called with query and key as projected, before any
rotation, and returns scores that the attention adds to query times key before scaling.

Shapes: B batch, S sequence, D hidden, H heads, K head width, R rows of a relative table.
"""

from typing import Any, ClassVar

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_signal import PositionSignal, PositionType, all_rows
from .relative_products import BY_OFFSET, RelativeRows, relative_products, relative_rows
from .resizing import resized


class RelativeKeyScores(nn.Module):
    """The part of `relative_key` in one layer: a trained vector for each distance."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        head_dim = config.hidden_size // config.num_attention_heads
        self.rows = 2 * config.max_position_embeddings - 1
        self.table = nn.Embedding(self.rows, head_dim)

    def resize(self, length: int, how: str) -> None:
        """Give the table rows for the distances between `length` positions."""
        self.rows = 2 * length - 1
        self.table = resized(self.table, self.rows, how=how, centred=True)

    def forward(self, query: torch.Tensor, key: torch.Tensor, rows: RelativeRows, attention: nn.Module) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S); `rows` of the table belong to the distances."""
        table, rows = self.vectors(rows, query.device)
        return relative_products(query, key, rows, query_table=table)

    def vectors(self, rows: RelativeRows, device: torch.device) -> tuple[torch.Tensor, RelativeRows]:
        """Return the rows (1, R, K) of the table that are needed, and how the pairs of tokens number these."""
        if rows.of_offsets is None:
            return all_rows(self.table, self.rows, device)[None], rows
        return self.table(rows.of_offsets)[None], BY_OFFSET


class RelativeKeyQueryScores(RelativeKeyScores):
    """The part of `relative_key_query` in one layer: the key meets the vector of the distance too."""

    def forward(self, query: torch.Tensor, key: torch.Tensor, rows: RelativeRows, attention: nn.Module) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S); `rows` of the table belong to the distances."""
        table, rows = self.vectors(rows, query.device)
        return relative_products(query, key, rows, query_table=table, key_table=table)


class RelativeKeyPosition(PositionType):
    """Add q_i . a_(i-j), with a table of vectors in each layer (Shaw et al., https://arxiv.org/abs/1803.02155).

    Row i - j + max_position_embeddings - 1 belongs to query position i and key position j, as in the BERT of
    transformers up to version 4 (`position_embedding_type="relative_key"`).
    """

    has_table = True
    pairwise = True
    exclusive = "relative key"
    layer_part = RelativeKeyScores
    beyond = "defined: distances of max_position_embeddings and more share the outermost vectors, as Shaw et al. clip"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.furthest = config.max_position_embeddings - 1

    def resize(self, length: int, how: str) -> None:
        """Count distances between `length` positions."""
        self.furthest = length - 1

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to rows of the tables in the layers."""
        return PositionSignal(content=relative_rows(position_ids, self.number))

    def number(self, distance: torch.Tensor) -> torch.Tensor:
        """Map distances, query minus key, to rows."""
        return distance.clamp(-self.furthest, self.furthest) + self.furthest


class RelativeKeyQueryPosition(RelativeKeyPosition):
    """Add q_i . a_(i-j) + k_j . a_(i-j) (method 4 of Huang et al., https://arxiv.org/abs/2009.13658)."""

    layer_part = RelativeKeyQueryScores


class DisentangledScores(nn.Module):
    """The part of `disentangled` in one layer: projections of the shared table, unless those of the content serve."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        options = DisentangledPosition.read_options(config)
        self.terms, self.head_dim = options["pos_att_type"], config.hidden_size // config.num_attention_heads
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.key = self.query = None
        if not options["share_att_key"]:
            if "c2p" in self.terms:
                self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
            if "p2c" in self.terms:
                self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        content: tuple[RelativeRows, torch.Tensor],
        attention: nn.Module,
    ) -> torch.Tensor:
        """Map (B, H, S, K) query and key to scores (B, H, S, S); content: rows, and the table (R, D)."""
        rows, table = content
        table = self.dropout(table)
        key_map: nn.Linear = self.key or getattr(attention, "key")  # noqa: B009  any attention has both
        query_map: nn.Linear = self.query or getattr(attention, "query")  # noqa: B009
        with_query = self._heads(key_map(table)) if "c2p" in self.terms else None
        with_key = self._heads(query_map(table)) if "p2c" in self.terms else None
        return relative_products(query, key, rows, query_table=with_query, key_table=with_key)

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.view(states.shape[0], -1, self.head_dim).transpose(0, 1)  # (H, R, K)


class DisentangledPosition(PositionType):
    """Add content-to-position and position-to-content scores (DeBERTa, https://arxiv.org/abs/2006.03654).

    Distances are counted exactly up to half of `position_buckets`, then in logarithmic steps up to
    `max_relative_positions`, as in DeBERTa-v2 and v3; 0 buckets count all of them exactly, as in the first DeBERTa.
    Scores share the scale 1 / sqrt(K * terms). The options have the names of transformers' `DebertaV2Config`.
    """

    pairwise = True
    layer_part = DisentangledScores
    option_defaults: ClassVar[dict[str, Any]] = {
        "position_buckets": None,  # on each side; None: half of max_relative_positions; 0: one row for every distance
        "max_relative_positions": 0,  # 0: max_position_embeddings
        "pos_att_type": ["c2p", "p2c"],
        "share_att_key": False,  # True (v3): the layer's own query and key projections serve the positions too
        "norm_rel_ebd": "layer_norm",  # or "none"
    }
    beyond = "defined: all distances from max_relative_positions on share the outermost row"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.furthest, self.buckets = _distances(config, self.options)
        self.span = self.buckets or self.furthest
        self.table = nn.Embedding(2 * self.span, config.hidden_size)
        has_norm = self.options["norm_rel_ebd"] == "layer_norm"
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if has_norm else nn.Identity()

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse options that DeBERTa does not have."""
        options = cls.read_options(config)
        terms, norm = options["pos_att_type"], options["norm_rel_ebd"]
        if not terms or not set(terms) <= {"c2p", "p2c"} or len(set(terms)) < len(terms):
            raise ValueError(
                f"position_parameters: disentangled.pos_att_type: got {terms}, expected 'c2p', 'p2c' or both"
            )
        if norm not in ("layer_norm", "none"):
            raise ValueError(
                f"position_parameters: disentangled.norm_rel_ebd: got {norm!r}, expected 'layer_norm' or 'none'"
            )
        furthest, buckets = _distances(config, options)
        if buckets and not 2 <= buckets <= 2 * furthest - 4:
            raise ValueError(
                f"position_parameters: disentangled.position_buckets: got {buckets} with {furthest} relative "
                "positions, expected 0, or at least 2 and fewer than twice that number"
            )

    @classmethod
    def score_terms(cls, config: PreTrainedConfig) -> int:
        """Count c2p and p2c."""
        return len(cls.read_options(config)["pos_att_type"])

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to rows of the table, and the normalised table (R, D)."""
        table = self.norm(all_rows(self.table, 2 * self.span, position_ids.device))
        return PositionSignal(content=(relative_rows(position_ids, self.number), table))

    def number(self, distance: torch.Tensor) -> torch.Tensor:
        """Map distances, query minus key, to rows."""
        return (self.bucket(distance) + self.span).clamp(0, 2 * self.span - 1)

    def pinned_options(self) -> dict[str, object]:
        """Return the numbers that `max_position_embeddings` decided."""
        return {"max_relative_positions": self.furthest, "position_buckets": self.buckets}

    def bucket(self, distance: torch.Tensor) -> torch.Tensor:
        """Number signed distances (query - key): exact up to half of the buckets, then logarithmic."""
        if not self.buckets:
            return distance
        middle = self.buckets // 2
        size = distance.abs().clamp(min=middle).float() / middle
        # The logarithm of the largest size is taken in fp32 as well, so that borders fall where DeBERTa has them.
        step = torch.log(torch.tensor((self.furthest - 1) / middle, device=distance.device))
        coarse = torch.ceil(torch.log(size) / step * (middle - 1)).long() + middle
        return torch.where(distance.abs() <= middle, distance, coarse * distance.sign())


def _distances(config: PreTrainedConfig, options: dict[str, Any]) -> tuple[int, int]:
    """Return the largest distance that has a row of its own, and the number of buckets on each side."""
    furthest = options["max_relative_positions"] or config.max_position_embeddings
    buckets = options["position_buckets"]
    return furthest, furthest // 2 if buckets is None else buckets
