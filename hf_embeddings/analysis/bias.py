"""Association tests: do two groups of words lie differently close to two sets of attributes (WEAT, SEAT)?"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows

EXACT_UP_TO = 100_000  # partitions; above, they are sampled


@dataclass(frozen=True)
class Association:
    """Result of one test."""

    effect_size: float  # -2 .. 2; above 0: the first group lies closer to the first attributes
    p_value: float  # one-sided: share of the partitions of the targets whose statistic is larger
    partitions: int
    exact: bool  # all partitions were tried


def association_test(
    first_targets: np.ndarray,
    second_targets: np.ndarray,
    first_attributes: np.ndarray,
    second_attributes: np.ndarray,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Association:
    """Run WEAT (https://arxiv.org/abs/1608.07187) on words, or SEAT (https://arxiv.org/abs/1903.10561) on sentences.

    Args:
        first_targets: (n, D), such as the words of science.
        second_targets: (n, D), as many, such as the words of art.
        first_attributes: (m, D), such as male words.
        second_attributes: (m', D), such as female words.
        samples: random partitions to try where there are too many for all.
        seed: of the sampling.

    Raises:
        ValueError: the groups are not of the same size, or too small.
    """
    size = len(first_targets)
    if size != len(second_targets) or size < 2:
        raise ValueError(
            f"association test: got {size} and {len(second_targets)} target words, expected two groups of one size, "
            "at least 2"
        )
    targets = unit_rows(np.concatenate([first_targets, second_targets]).astype(np.float64))
    means = [
        (targets @ unit_rows(group.astype(np.float64)).T).mean(1) for group in (first_attributes, second_attributes)
    ]
    scores = means[0] - means[1]  # s(w, A, B)
    spread = scores.std(ddof=1)
    effect = (scores[:size].mean() - scores[size:].mean()) / spread if spread else 0.0
    sums, exact = _partition_sums(scores, samples=samples, seed=seed)
    larger = sums > scores[:size].sum() + 1e-12  # rounding must not make the observed partition larger than itself
    if exact:
        return Association(float(effect), float(larger.mean()), len(sums), True)
    # Phipson and Smyth 2010: a sampled p-value counts the observed partition, so that it is never 0.
    return Association(float(effect), float((larger.sum() + 1) / (len(sums) + 1)), len(sums), False)


def _partition_sums(scores: np.ndarray, *, samples: int, seed: int) -> tuple[np.ndarray, bool]:
    """Return the sum of the first half for each way of halving the targets, and whether these are all ways."""
    size = len(scores) // 2
    if math.comb(len(scores), size) <= EXACT_UP_TO:
        halves = np.array(list(itertools.combinations(range(len(scores)), size)))
        return scores[halves].sum(axis=1), True
    generator = np.random.default_rng(seed)
    return np.array([generator.permutation(scores)[:size].sum() for _ in range(samples)]), False
