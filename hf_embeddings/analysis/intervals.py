"""95 % confidence intervals: of shares, rank correlations, means, and differences of pairs."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000  # of the bootstrap; the ends of its interval scatter by a few per cent of its width
_BLOCK = 2_000_000  # draws at once
Z = 1.959964  # standard errors to either side of a 95 % interval, of the normal distribution
CONFIDENCE = 0.95
FALSE_SHARE = 0.05  # of the differences that are called real, how many may be chance


class Interval(NamedTuple):
    """A mean, and half of the width of its 95 % interval; None where one value alone does not tell its scatter."""

    mean: float
    half_width: float | None


class Difference(NamedTuple):
    """A mean difference of pairs, half of the width of its 95 % interval, and how often chance does as much."""

    mean: float
    half_width: float | None  # None, as the next one, where there is one pair only
    p_value: float | None  # two-sided


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of values with its interval, from their own scatter (Student 1908)."""
    return Interval(*paired_difference(values, [0.0] * len(values))[:2])


def paired_difference(values: Sequence[float], others: Sequence[float]) -> Difference:
    """Return the mean of `values - others`, pair by pair, with its interval (Student 1908).

    What both of a pair have in common, such as the seed, is not in the interval.
    """
    differences = [value - other for value, other in zip(values, others, strict=True)]
    mean, degrees = fmean(differences), len(differences) - 1
    if not degrees:
        return Difference(mean, None, None)
    error = math.sqrt(sum((value - mean) ** 2 for value in differences) / degrees / len(differences))
    if not error:
        return Difference(mean, 0.0, 0.0 if mean else 1.0)
    return Difference(mean, student_width(CONFIDENCE, degrees) * error, 1 - student_share(abs(mean) / error, degrees))


def beyond_chance(p_values: Mapping[str, float]) -> set[str]:
    """Return which of several results are beyond chance: of those, 5 % at most are expected to be chance.

    Benjamini and Hochberg 1995 (https://doi.org/10.1111/j.2517-6161.1995.tb02031.x): of twenty comparisons without any
    effect, one would have p < 0.05 by itself.
    """
    by_p_value = sorted(p_values, key=p_values.__getitem__)
    ranks = [rank for rank, name in enumerate(by_p_value, 1) if p_values[name] <= FALSE_SHARE * rank / len(by_p_value)]
    return set(by_p_value[: max(ranks, default=0)])


def student_share(width: float, degrees: int) -> float:
    """Return the share of Student's t within -width .. width (Abramowitz & Stegun, formulas 26.7.3 and 26.7.4)."""
    angle = math.atan(width / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term, series = (math.cos(angle) if odd else 1.0), 0.0
    for power in range(odd, degrees - 1, 2):
        series += term
        term *= square * (power + 1) / (power + 2)
    share = math.sin(angle) * series
    return 2 / math.pi * (angle + share) if odd else share


def student_width(share: float, degrees: int) -> float:
    """Return the width for which Student's t lies within -width .. width with this probability."""
    low, high = 0.0, 1.0
    while student_share(high, degrees) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_share(middle, degrees) < share else (low, middle)
    return high


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's interval (https://doi.org/10.1080/01621459.1927.10502953) of a share of `count` samples."""
    centre, width = share + Z**2 / (2 * count), Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


def correlation_interval(spearman: float, count: int) -> tuple[float, float]:
    """Return the interval of Spearman's rho over `count` pairs (https://doi.org/10.1007/BF02294183)."""
    if count <= 3 or abs(spearman) >= 1:
        return (-1.0, 1.0) if count <= 3 else (spearman, spearman)
    middle, width = math.atanh(spearman), Z * math.sqrt((1 + spearman**2 / 2) / (count - 3))
    return math.tanh(middle - width), math.tanh(middle + width)


def bootstrap_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the interval of the mean of values, from resampling them (Efron 1979); the same in every call.

    It takes no distribution for granted, as is right for figures of queries, of which most are 0 or 1.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        return math.nan, math.nan
    random, means = np.random.default_rng(0), []
    block = max(1, _BLOCK // len(sample))
    for start in range(0, RESAMPLES, block):
        draws = random.integers(len(sample), size=(min(block, RESAMPLES - start), len(sample)))
        means.append(sample[draws].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
