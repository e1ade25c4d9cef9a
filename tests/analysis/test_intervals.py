"""Intervals and p-values against scipy's."""

import numpy as np
import pytest
from scipy import stats

from hf_embeddings.analysis.intervals import (
    beyond_chance,
    mean_interval,
    paired_difference,
    share_interval,
    student_share,
    student_width,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 20, 200])
def test_student_is_scipys(degrees: int) -> None:
    assert student_width(0.95, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)
    for width in (0.0, 0.3, 2.0, 40.0):
        assert student_share(width, degrees) == pytest.approx(1 - 2 * stats.t.sf(width, degrees), abs=1e-12)


def test_intervals_and_paired_tests_are_the_textbooks() -> None:
    values, others = [3.1, 3.3, 2.9, 3.4], [3.0, 3.4, 2.5, 3.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert mean_interval(values) == pytest.approx((np.mean(values), (high - low) / 2))
    theirs, found = stats.ttest_rel(values, others), paired_difference(values, others)
    low, high = theirs.confidence_interval(0.95)
    assert found == pytest.approx(((low + high) / 2, (high - low) / 2, theirs.pvalue))


def test_the_scatter_of_one_group_does_not_widen_that_of_another() -> None:
    """An unstable position type is less sure than a stable one."""
    assert mean_interval([1.0, 1.1, 0.9]).half_width < 0.3 < mean_interval([1.0, 2.0, 0.0]).half_width


def test_what_pairs_have_in_common_is_not_in_their_difference() -> None:
    seeds = np.random.default_rng(0).normal(0, 5, size=3)
    found = paired_difference(*(list(seeds + own) for own in ([1.0, 1.1, 0.9], [0.0, 0.02, 0.0])))
    assert found.mean == pytest.approx(0.993, abs=1e-3) and found.half_width < 0.3


def test_single_runs_have_no_interval_and_equal_ones_no_difference() -> None:
    assert mean_interval([1.0]) == (1.0, None) and paired_difference([1.0], [2.0]) == (-1.0, None, None)
    assert paired_difference([1.0, 2.0], [1.0, 2.0]) == (0.0, 0.0, 1.0)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    generator, hits = np.random.default_rng(0), []
    for _ in range(2000):
        found = mean_interval(generator.normal(3.0, 1.0, size=3).tolist())
        hits.append(abs(found.mean - 3.0) <= found.half_width)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_results_beyond_chance_are_those_of_benjamini_and_hochberg() -> None:
    drawn = np.random.default_rng(1)
    for _ in range(50):
        values = {str(i): float(p) for i, p in enumerate(drawn.uniform(size=18) ** drawn.integers(1, 5))}
        adjusted = stats.false_discovery_control([*values.values()])
        assert beyond_chance(values) == {name for name, p in zip(values, adjusted, strict=True) if p <= 0.05}
    assert beyond_chance({}) == set() and beyond_chance({str(i): 0.04 if i == 3 else 0.9 for i in range(18)}) == set()


def test_wilson_interval_against_published_values() -> None:
    assert share_interval(15 / 20, 20) == pytest.approx((0.5313, 0.8881), abs=1e-4)
