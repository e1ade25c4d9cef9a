"""How good vectors are on held-out rows: the right texts of each query among all, or the order of people's scores."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from hf_embeddings.analysis.intervals import bootstrap_interval, correlation_interval
from hf_embeddings.analysis.similarity import QueryFigures, agreement, rank_queries, summed_up
from hf_embeddings.embedding.rows import Row
from hf_embeddings.records.embedding import HeldOutFigures
from hf_embeddings.records.evaluation import RankingFigures
from hf_embeddings.records.run import Worth
from hf_embeddings.search.encoder import Encoder

CUTOFF = 10  # of the discounted gain


class Judge:
    """Held-out rows, and the figures of encoders on them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take the rows; those with a score are judged by the order of their cosines."""
        self.rows = rows
        self.is_scored = bool(rows) and rows[0].score is not None
        candidates: dict[str, int] = {}
        self.relevant: dict[str, dict[int, float]] = {}
        for row in rows:
            query, text, *wrong = row.texts
            self.relevant.setdefault(query, {})[candidates.setdefault(text, len(candidates))] = 1.0
            for other in wrong:
                candidates.setdefault(other, len(candidates))
        self.candidates = list(candidates)
        self.by_query: QueryFigures | None = None  # of the encoder that was judged last

    def __bool__(self) -> bool:
        """Tell whether there is anything to judge by."""
        return bool(self.rows)

    def figures(self, encoder: Encoder) -> HeldOutFigures:
        """Measure an encoder."""
        if self.is_scored:
            first, second = (encoder.encode([row.texts[side] for row in self.rows]) for side in (0, 1))
            result = agreement(first, second, [row.score or 0.0 for row in self.rows])
            interval = None if result.spearman is None else correlation_interval(result.spearman, result.pairs)
            return HeldOutFigures(spearman=result.spearman, spearman_interval=interval, pairs=result.pairs)
        queries = encoder.encode(list(self.relevant), prompt="query")
        candidates = encoder.encode(self.candidates, prompt="document")
        own = {text: row for row, text in enumerate(self.candidates)}
        ignored = [{own[query]} - right.keys() if query in own else set() for query, right in self.relevant.items()]
        self.by_query = rank_queries(queries, candidates, list(self.relevant.values()), ignored_rows=ignored)
        ranking = summed_up(self.by_query, len(candidates))
        return HeldOutFigures(ranking=RankingFigures(**asdict(ranking)))


def worth(before: HeldOutFigures, after: HeldOutFigures, differences: np.ndarray | None) -> Worth:
    """Say what training brought, on rows that nothing was chosen on.

    Args:
        before: figures of the encoder that training began with.
        after: figures of the result.
        differences: (Q,) nDCG of each query, after less before; None where rows have scores.
    """
    if after.ranking is not None and differences is not None:
        gain, chance = gain_of(after), (after.ranking.ndcg_by_chance or {})[CUTOFF]
        low, _ = (after.ranking.ndcg_interval or {})[CUTOFF]
        if low <= chance:
            reason = f"held-out nDCG@{CUTOFF} is {gain:.3f}, an order by chance reaches {chance:.3f}"
            return Worth(verdict="learned nothing", reasons=[reason])
        if bootstrap_interval(differences)[0] <= 0:
            reason = f"held-out nDCG@{CUTOFF} is {gain:.3f}, and was {gain_of(before):.3f} before training"
            better = gain > gain_of(before)
            return Worth(verdict="learned in part" if better else "learned nothing", reasons=[reason])
        return Worth(verdict="learned")
    low, high = after.spearman_interval or (-1.0, 1.0)
    if low <= 0:
        reason = f"held-out Spearman is between {low:.2f} and {high:.2f}, chance is 0"
        return Worth(verdict="learned nothing", reasons=[reason])
    if (after.spearman or 0) <= (before.spearman or 0):
        reason = f"held-out Spearman is {after.spearman:.3f}, and was {before.spearman or 0:.3f} before training"
        return Worth(verdict="learned nothing", reasons=[reason])
    return Worth(verdict="learned")


def gain_of(figures: HeldOutFigures) -> float:
    """Return nDCG@10."""
    assert figures.ranking is not None and figures.ranking.ndcg is not None, "made here"
    return figures.ranking.ndcg[CUTOFF]


def figures_in_words(figures: HeldOutFigures) -> str:
    """Return figures as a line has them."""
    ranking = figures.ranking
    if ranking is None:
        if figures.spearman is None:
            return "no order to compare: all cosines, or all scores, are the same"
        low, high = figures.spearman_interval or (-1.0, 1.0)
        return f"Spearman {figures.spearman:.3f} ({low:.3f} to {high:.3f}) on {figures.pairs} pairs"
    low, high = (ranking.ndcg_interval or {})[CUTOFF]
    return (
        f"nDCG@{CUTOFF} {gain_of(figures):.3f} ({low:.3f} to {high:.3f}; chance "
        f"{(ranking.ndcg_by_chance or {})[CUTOFF]:.3f}), recall@{CUTOFF} {ranking.recall[CUTOFF]:.3f}, "
        f"MRR {ranking.mrr:.3f}, {ranking.queries:,} queries among {ranking.candidates:,} texts"
    )
