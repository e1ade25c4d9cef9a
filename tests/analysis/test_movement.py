"""Movement in shares of a vector's length, neighbours that stayed, and movement drawn larger where it is little."""

import numpy as np
import pytest

from hf_embeddings.analysis.movement import kept_neighbours, magnified, round_down, travelled


def test_distance_is_a_share_of_the_length_at_first_whatever_the_unit() -> None:
    first, last = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[3.0, 9.0], [0.0, 2.0]])
    np.testing.assert_allclose(travelled([first, last]), [[0, 0], [1, 0]])
    np.testing.assert_allclose(travelled([7 * first, 7 * last]), travelled([first, last]))


def test_kept_neighbours_are_counted_in_any_order() -> None:
    assert kept_neighbours([["a", "b"], ["a", "b"]], [["b", "a"], ["c", "b"]]) == [1.0, 0.5]


@pytest.mark.parametrize("moved, factor", [(0.0, 1), (0.5, 1), (0.02, 5), (1e-5, 10_000)])
def test_only_movement_that_cannot_be_seen_is_drawn_larger(moved: float, factor: int) -> None:
    first = np.array([[0.0, 0.0], [1.0, 1.0]])
    stages, found = magnified([first, first + [[moved, 0], [0, 0]]])
    assert found == factor
    np.testing.assert_allclose(stages[1] - first, [[factor * moved, 0], [0, 0]])


@pytest.mark.parametrize("value, rounded", [(1, 1), (4.99, 2), (5, 5), (0.3, 0.2), (1234, 1000)])
def test_scales_are_round(value: float, rounded: float) -> None:
    assert round_down(value) == pytest.approx(rounded)
