"""How well similarities agree with people: word and sentence similarity, analogies, retrieval.

Shapes: N pairs, Q queries, C candidates, D width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.analysis.intervals import bootstrap_interval

CUTOFFS = (1, 5, 10)  # of the recall
GAIN_CUTOFFS = (10,)  # of the discounted gain: the figure that BEIR and MTEB state first
_BLOCK = 256
_ROUNDING = 1e-12  # cosines that differ by less are those of vectors that all point the same way


@dataclass(frozen=True)
class Agreement:
    """Agreement of cosines with people's scores."""

    pairs: int
    spearman: float | None  # None where all cosines, or all scores, are the same: there is no order to compare
    p_value: float | None


@dataclass(frozen=True)
class Ranking:
    """Where the right candidates stand in the order of cosines."""

    queries: int
    candidates: int
    recall: dict[int, float]  # k -> share of a query's right candidates among the first k, mean over queries
    ndcg: dict[int, float]  # k -> normalised discounted cumulative gain of the first k, mean over queries
    mrr: float  # mean of 1 / rank of the first right candidate, over the whole order
    # 95 % intervals of the same, from resampling the queries.
    recall_interval: dict[int, tuple[float, float]]
    ndcg_interval: dict[int, tuple[float, float]]
    mrr_interval: tuple[float, float]
    ndcg_by_chance: dict[int, float]  # what an order by chance reaches


@dataclass(frozen=True)
class QueryFigures:
    """Where the right candidates of each query stand."""

    recall: dict[int, np.ndarray]  # k -> (Q,)
    ndcg: dict[int, np.ndarray]  # k -> (Q,)
    ndcg_by_chance: dict[int, np.ndarray]  # k -> (Q,)
    reciprocal: np.ndarray  # (Q,) 1 / rank of the first right candidate


def agreement(first: np.ndarray, second: np.ndarray, scores: Sequence[float]) -> Agreement:
    """Compare the cosines of two (N, D) with N scores of people, by rank."""
    if len(first) < 3:
        raise ValueError(f"similarity: got {len(first)} pairs that can be scored, expected at least 3")
    cosines = pair_cosines(first, second)
    if np.ptp(cosines) < _ROUNDING or np.ptp(scores) == 0:
        return Agreement(len(first), None, None)
    result = spearmanr(cosines, scores)
    # The t distribution gives p = 0 where the order is the same: of n! orders, two are as far from chance as that one.
    least = 2 / math.factorial(min(len(first), 100))
    return Agreement(len(first), float(result.statistic), max(float(result.pvalue), least))


def pair_cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of row i of one (N, D) and row i of the other, in fp64."""
    return (unit_rows(first.astype(np.float64)) * unit_rows(second.astype(np.float64))).sum(axis=1)


def solve_analogies(vectors: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """Answer "a is to b as c is to ?" by 3CosAdd: the row nearest to b - a + c, the three of the question left out.

    Args:
        vectors: (C, D) one row per candidate word.
        questions: (Q, 3) rows of a, b and c.

    Returns:
        (Q,) rows of the answers (https://aclanthology.org/N13-1090).
    """
    unit = unit_rows(vectors)
    answers = np.empty(len(questions), dtype=np.int64)
    for start in range(0, len(questions), _BLOCK):
        a, b, c = questions[start : start + _BLOCK].T
        similarities = (unit[b] - unit[a] + unit[c]) @ unit.T
        np.put_along_axis(similarities, questions[start : start + _BLOCK], -np.inf, axis=1)
        answers[start : start + _BLOCK] = similarities.argmax(axis=1)
    return answers


def ranking(
    queries: np.ndarray,
    candidates: np.ndarray,
    relevant: Sequence[Mapping[int, float]],
    *,
    missing: Sequence[Sequence[float]] | None = None,
    ignored_rows: Sequence[set[int]] | None = None,
) -> Ranking:
    """Rank all (C, D) candidates by cosine for each of the (Q, D) queries: the means of `rank_queries`."""
    return summed_up(
        rank_queries(queries, candidates, relevant, missing=missing, ignored_rows=ignored_rows), len(candidates)
    )


def summed_up(figures: QueryFigures, candidates: int) -> Ranking:
    """Return the means over the queries, with their intervals."""
    recall, ndcg, chance = (
        {k: float(values.mean()) for k, values in each.items()}
        for each in (figures.recall, figures.ndcg, figures.ndcg_by_chance)
    )
    return Ranking(
        len(figures.reciprocal),
        candidates,
        recall,
        ndcg,
        float(figures.reciprocal.mean()),
        recall_interval={k: bootstrap_interval(values) for k, values in figures.recall.items()},
        ndcg_interval={k: bootstrap_interval(values) for k, values in figures.ndcg.items()},
        mrr_interval=bootstrap_interval(figures.reciprocal),
        ndcg_by_chance=chance,
    )


def rank_queries(
    queries: np.ndarray,
    candidates: np.ndarray,
    relevant: Sequence[Mapping[int, float]],
    *,
    missing: Sequence[Sequence[float]] | None = None,
    ignored_rows: Sequence[set[int]] | None = None,
) -> QueryFigures:
    """Rank all (C, D) candidates by cosine for each of the (Q, D) queries.

    Args:
        queries: vectors of the queries.
        candidates: vectors of the candidates; of equal ones, the first stands first.
        relevant: for each query the rows of its right candidates, with their grades above 0; a query without counts 0.
        missing: for each query the grades of right candidates that are not among all; they are never found.
        ignored_rows: for each query the rows of candidates that are not ranked, such as the query itself.
    """
    unit, count = unit_rows(candidates), len(queries)
    recalls = {k: np.zeros(count) for k in CUTOFFS}
    gains, chance = ({k: np.zeros(count) for k in GAIN_CUTOFFS} for _ in range(2))
    reciprocal = np.zeros(count)
    for start in range(0, count, _BLOCK):
        similarities = unit_rows(queries[start : start + _BLOCK]) @ unit.T
        for query, scores in enumerate(similarities, start):
            left_out = list(ignored_rows[query]) if ignored_rows else []
            grades = np.array([*relevant[query].values(), *(missing[query] if missing else ())], dtype=np.float64)
            ranks = np.full(len(grades), np.inf)
            ranks[: len(relevant[query])] = _ranks(scores, list(relevant[query]), left_out)
            if len(grades):
                reciprocal[query] = 1 / ranks.min()
                for k in CUTOFFS:
                    recalls[k][query] = (ranks <= k).mean()
                for k in GAIN_CUTOFFS:
                    gains[k][query] = _ndcg(grades, ranks, k)
                    chance[k][query] = _ndcg_by_chance(grades, len(relevant[query]), len(unit) - len(left_out), k)
    return QueryFigures(recalls, gains, chance, reciprocal)


def _ranks(scores: np.ndarray, rows: list[int], left_out: list[int]) -> np.ndarray:
    """Return the ranks of rows, from 1, by their scores (C,); infinite for those that are left out."""
    scores = scores.copy() if left_out else scores
    scores[left_out] = -np.inf
    before = [(scores > scores[row]).sum() + (scores[:row] == scores[row]).sum() for row in rows]
    return np.array([np.inf if row in left_out else rank + 1 for row, rank in zip(rows, before, strict=True)])


def _ndcg(grades: np.ndarray, ranks: np.ndarray, cutoff: int) -> float:
    """Return the discounted gain of the first ranks beside the greatest possible (as trec_eval's `ndcg_cut`)."""
    best = np.sort(grades)[::-1][:cutoff]
    greatest = (best / np.log2(np.arange(len(best)) + 2)).sum()
    within = ranks <= cutoff
    return float((grades[within] / np.log2(ranks[within] + 1)).sum() / greatest)


def _ndcg_by_chance(grades: np.ndarray, present: int, candidates: int, cutoff: int) -> float:
    """Return the gain that is expected where each right candidate stands at every rank equally often."""
    best = np.sort(grades)[::-1][:cutoff]
    greatest = (best / np.log2(np.arange(len(best)) + 2)).sum()
    discounts = (1 / np.log2(np.arange(min(cutoff, candidates)) + 2)).sum()
    return float(grades[:present].sum() * discounts / max(candidates, 1) / greatest)
