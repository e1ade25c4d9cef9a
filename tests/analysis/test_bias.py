"""The association test against its formula in loops, over all partitions and drawn ones."""

import itertools

import numpy as np
import pytest

from hf_embeddings.analysis.bias import association_test

RANDOM = np.random.default_rng(0)


def groups(size: int) -> list[np.ndarray]:
    return [RANDOM.normal(size=(size, 7)) for _ in range(4)]


def by_loops(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    def cosine(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    def s(w):
        return np.mean([cosine(w, v) for v in a]) - np.mean([cosine(w, v) for v in b])

    scores = [s(w) for w in [*x, *y]]
    effect = (np.mean(scores[: len(x)]) - np.mean(scores[len(x) :])) / np.std(scores, ddof=1)
    observed = sum(scores[: len(x)]) - sum(scores[len(x) :])
    larger = total = 0
    for half in itertools.combinations(range(len(scores)), len(x)):
        statistic = sum(scores[i] for i in half) - sum(scores[i] for i in range(len(scores)) if i not in half)
        larger, total = larger + (statistic >= observed - 1e-9), total + 1
    return effect, larger / total


def test_effect_and_exact_p_by_loops() -> None:
    sets = groups(5)
    effect, p = by_loops(*sets)
    found = association_test(*sets)
    assert found.exact and found.partitions == 252
    assert found.effect_size == pytest.approx(effect) and found.p_value == pytest.approx(p)


def test_drawn_partitions_come_near_all_of_them() -> None:
    sets = groups(8)
    exact = association_test(*sets)
    many = [np.concatenate([g] * 2) for g in sets]
    drawn = association_test(*many, samples=4000)
    assert exact.exact and not drawn.exact and 0 < drawn.p_value <= 1
    assert drawn == association_test(*many, samples=4000) != association_test(*many, samples=4000, seed=1)


def test_a_planted_association_is_found_and_its_mirror_is_not() -> None:
    x, y = np.array([[1, 0.1 * i] for i in range(6)]), np.array([[0.1 * i, 1] for i in range(6)])
    strong = association_test(x, y, np.array([[1, 0.0]]), np.array([[0.0, 1]]))
    assert strong.effect_size > 1.5 and strong.p_value == 1 / strong.partitions
    weak = association_test(y, x, np.array([[1, 0.0]]), np.array([[0.0, 1]]))
    assert weak.effect_size == pytest.approx(-strong.effect_size) and weak.p_value > 0.99


@pytest.mark.parametrize("size, samples", [(2, 10), (3, 10), (6, 10), (12, 50)])
def test_the_observed_partition_counts_so_that_p_is_never_zero(size: int, samples: int) -> None:
    for seed in range(5):
        drawn = np.random.default_rng(seed)
        x, y, a, b = (drawn.normal(size=(size, 4)) for _ in range(4))
        for first, second in ((x, y), (y, x), (a, b)):
            found = association_test(first, second, a, b, samples=samples)
            assert found.p_value >= 1 / (found.partitions + (not found.exact))


def test_equal_groups_have_no_effect_and_p_of_one() -> None:
    words, a, b = RANDOM.normal(size=(4, 7)), RANDOM.normal(size=(2, 7)), RANDOM.normal(size=(3, 7))
    for first, second in ((words, words[::-1]), (words[[0, 0]], words[[0, 0]]), (np.tile(words, (3, 1)),) * 2):
        found = association_test(first, second, a, b)
        assert (found.effect_size, found.p_value) == (0.0, 1.0)


def test_unequal_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        association_test(*groups(3)[:1], np.ones((4, 7)), np.ones((2, 7)), np.ones((2, 7)))
    with pytest.raises(ValueError, match="got 0 and 2 attribute words"):
        association_test(np.ones((3, 7)), np.ones((3, 7)), np.ones((0, 7)), np.ones((2, 7)))
