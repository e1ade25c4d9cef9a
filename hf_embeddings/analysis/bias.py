"""Association tests: do two groups of words lie differently close to two sets of attributes (WEAT, SEAT)?"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows

EXACT_UP_TO = 100_000  # partitions; above, they are sampled
_ROUNDING = 1e-9  # a sum of cosines that differs by less is the same sum in another order


@dataclass(frozen=True)
class Association:
    """Result of one test."""

    effect_size: float  # -2 .. 2; above 0: the first group lies closer to the first attributes
    p_value: float  # one-sided: share of the partitions of the targets whose statistic is at least as large
    partitions: int
    exact: bool  # all partitions were tried
    difference: float  # of the mean scores of both groups, in cosines: the effect size before it is divided by spread


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

    The p-value counts the observed partition (Phipson and Smyth 2010, https://arxiv.org/abs/1603.05766): it is at least
    1 / partitions, and never 0. Where both groups of targets score the same, there is nothing to test, and it is 1.

    Args:
        first_targets: (n, D), such as the words of science.
        second_targets: (n, D), as many, such as the words of art.
        first_attributes: (m, D), such as male words.
        second_attributes: (m', D), such as female words.
        samples: random partitions to try where there are too many for all.
        seed: of the sampling.

    Raises:
        ValueError: the targets are not of one size, or fewer than 2; or there are no attributes.
    """
    size = len(first_targets)
    if size != len(second_targets) or size < 2:
        raise ValueError(
            f"association test: got {size} and {len(second_targets)} target words, expected two groups of one size, "
            "at least 2"
        )
    if not len(first_attributes) or not len(second_attributes):
        raise ValueError(
            f"association test: got {len(first_attributes)} and {len(second_attributes)} attribute words, expected at "
            "least 1 in each group"
        )
    targets = unit_rows(np.concatenate([first_targets, second_targets]).astype(np.float64))
    means = [
        (targets @ unit_rows(group.astype(np.float64)).T).mean(1) for group in (first_attributes, second_attributes)
    ]
    scores = means[0] - means[1]  # s(w, A, B)
    sums, exact = _partition_sums(scores, samples=samples, seed=seed)
    if np.allclose(np.sort(scores[:size]), np.sort(scores[size:]), rtol=0, atol=_ROUNDING):
        return Association(0.0, 1.0, len(sums), exact, 0.0)
    difference = scores[:size].mean() - scores[size:].mean()
    effect = difference / scores.std(ddof=1)
    count = int((sums >= scores[:size].sum() - _ROUNDING).sum())
    # All partitions hold the observed one; partitions that are drawn need not, so that it is added to them.
    p_value = count / len(sums) if exact else (count + 1) / (len(sums) + 1)
    return Association(float(effect), p_value, len(sums), exact, float(difference))


def _partition_sums(scores: np.ndarray, *, samples: int, seed: int) -> tuple[np.ndarray, bool]:
    """Return the sum of the first half for each way of halving the targets, and whether these are all ways."""
    size = len(scores) // 2
    if math.comb(len(scores), size) <= EXACT_UP_TO:
        halves = np.array(list(itertools.combinations(range(len(scores)), size)))
        return scores[halves].sum(axis=1), True
    generator = np.random.default_rng(seed)
    return np.array([generator.permutation(scores)[:size].sum() for _ in range(samples)]), False
