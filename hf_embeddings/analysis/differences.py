"""How far two results are apart, where NaN is as far as can be: Python's `max` and `>` pass over it."""

from collections.abc import Iterable

import numpy as np


def largest(values: Iterable[float]) -> float:
    """Return the largest of some numbers, 0 of none, and NaN where one of them is NaN."""
    return float(np.max(np.asarray([0.0, *values])))


def largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest absolute difference of two arrays of one shape, NaN where either holds NaN or both infinity.

    Compare with `not difference <= tolerance`: NaN is not above any tolerance.
    """
    with np.errstate(invalid="ignore"):
        return largest([] if first.size == 0 else [np.abs(first - second).max()])
