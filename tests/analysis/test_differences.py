"""Laws of differences: NaN fails every comparison, wherever it stands and whatever comes after it."""

import math

import numpy as np
import pytest

from hf_embeddings.analysis.differences import largest, largest_difference

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("values", [[NAN], [NAN, 1.0], [1.0, NAN], [2.0, NAN, 3.0]])
def test_nan_is_the_largest_of_any_numbers(values: list[float]) -> None:
    assert math.isnan(largest(values))
    assert not largest(values) <= 1e9


def test_numbers_are_compared_as_they_are() -> None:
    assert largest([]) == 0 and largest([0.1, 0.3, 0.2]) == 0.3
    assert largest_difference(np.array([1.0, -2.0]), np.array([1.5, 1.0])) == 3.0
    assert largest_difference(np.empty(0), np.empty(0)) == 0


@pytest.mark.parametrize("pair", [(NAN, 0.0), (0.0, NAN), (NAN, NAN), (INF, INF)])
def test_what_cannot_be_subtracted_differs(pair: tuple[float, float]) -> None:
    first, second = (np.array([0.0, value, 0.0]) for value in pair)
    assert math.isnan(largest_difference(first, second))
