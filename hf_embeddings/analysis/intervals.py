"""95 % confidence intervals: of shares, of rank correlations, and of means over few repetitions."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

Z = 1.959964  # standard errors to either side of a 95 % interval, of the normal distribution
FEWEST_DEGREES = 3  # of freedom: below, an interval would say nothing


class Interval(NamedTuple):
    """A mean, and half of the width of its interval; None where the repetitions are too few to tell."""

    mean: float
    half_width: float | None


def pooled_intervals(groups: Mapping[str, Sequence[float]], confidence: float = 0.95) -> dict[str, Interval]:
    """Return the mean of each group with its interval, from the pooled variance within the groups (Student 1908).

    With two or three repetitions a group cannot tell its own scatter; groups that scatter alike tell it together.
    """
    deviations = [(value - fmean(values)) ** 2 for values in groups.values() for value in values]
    degrees = len(deviations) - len(groups)
    spread = None
    if degrees >= FEWEST_DEGREES:
        spread = student_quantile((1 + confidence) / 2, degrees) * math.sqrt(sum(deviations) / degrees)
    return {
        name: Interval(fmean(values), None if spread is None else spread / math.sqrt(len(values)))
        for name, values in groups.items()
    }


def student_quantile(share: float, degrees: int) -> float:
    """Return the quantile of Student's t, within 0.3 % from 3 degrees of freedom on at 0.975.

    The expansion in 1 / degrees of Abramowitz & Stegun, formula 26.7.5.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees ** (power + 1) for power, term in enumerate(terms))


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
