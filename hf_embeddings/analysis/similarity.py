"""How well similarities agree with people: word and sentence similarity, analogies, retrieval.

Shapes: N pairs, Q queries, C candidates, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from hf_embeddings.analysis.geometry import unit_rows

CUTOFFS = (1, 5, 10)
_BLOCK = 256


@dataclass(frozen=True)
class Agreement:
    """Agreement of cosines with people's scores."""

    pairs: int
    spearman: float
    p_value: float


@dataclass(frozen=True)
class Ranking:
    """Where the right candidates stand in the order of cosines."""

    queries: int
    candidates: int
    recall: dict[int, float]  # k -> share of a query's right candidates among the first k, mean over queries
    mrr: float  # mean of 1 / rank of the first right candidate, over the whole order


def agreement(first: np.ndarray, second: np.ndarray, scores: Sequence[float]) -> Agreement:
    """Compare the cosines of two (N, D) with N scores of people, by rank."""
    if len(first) < 3:
        raise ValueError(f"similarity: got {len(first)} pairs that can be scored, expected at least 3")
    result = spearmanr(pair_cosines(first, second), scores)
    return Agreement(len(first), float(result.statistic), float(result.pvalue))


def pair_cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of row i of one (N, D) and row i of the other."""
    return (unit_rows(first) * unit_rows(second)).sum(axis=1)


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


def ranking(queries: np.ndarray, candidates: np.ndarray, relevant: Sequence[set[int]]) -> Ranking:
    """Rank all (C, D) candidates by cosine for each of the (Q, D) queries.

    Args:
        queries: vectors of the queries.
        candidates: vectors of the candidates; of equal ones, the first stands first.
        relevant: for each query the rows of its right candidates, at least one.
    """
    unit, recalls, reciprocal = unit_rows(candidates), dict.fromkeys(CUTOFFS, 0.0), 0.0
    for start in range(0, len(queries), _BLOCK):
        similarities = unit_rows(queries[start : start + _BLOCK]) @ unit.T
        for row, scores in enumerate(similarities):
            right = np.fromiter(relevant[start + row], dtype=np.int64)
            best = scores[right][:, None]
            before = (scores > best).sum(axis=1) + [(scores[:j] == scores[j]).sum() for j in right]
            ranks = before + 1
            reciprocal += 1 / ranks.min()
            for k in CUTOFFS:
                recalls[k] += (ranks <= k).mean()
    count = len(queries)
    return Ranking(count, len(candidates), {k: float(v / count) for k, v in recalls.items()}, float(reciprocal / count))
