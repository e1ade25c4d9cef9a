"""The figures of a run of `hf-embeddings embed`: held-out rankings before and after, what it took, what it is worth."""

from dataclasses import dataclass, field
from typing import Any

from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.records.evaluation import RankingFigures
from hf_embeddings.records.run import Worth


@dataclass(frozen=True, kw_only=True)
class HeldOutFigures(JsonRecord):
    """How vectors do on held-out rows: a ranking of texts, or the order of scores."""

    ranking: RankingFigures | None = absent()
    spearman: float | None = absent()  # of cosines and scores
    spearman_interval: tuple[float, float] | None = absent()
    pairs: int | None = absent()  # with a score


@dataclass(frozen=True, kw_only=True)
class EmbeddingFigures(JsonRecord):
    """What stands in `embedding.json`."""

    base: str  # name of the directory that the run began with
    base_card: dict[str, Any] = field(default_factory=dict)  # license and base_model, as its card names them
    loss: str
    before: HeldOutFigures | None = absent()  # None: there was nothing to judge by
    during: dict[int, HeldOutFigures] = field(default_factory=dict)  # by step
    after: HeldOutFigures | None = absent()
    worth: Worth | None = absent()
    rows: dict[str, int]  # read, left out, trained on, held out
    training_steps: int
    training_seconds: float  # of the last start, where the run was resumed
    precision: str
    device: str
    parameters: int
