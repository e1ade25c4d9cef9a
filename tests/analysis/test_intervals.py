"""Intervals against scipy's."""

import numpy as np
import pytest
from scipy import stats

from hf_embeddings.analysis.intervals import pooled_intervals, share_interval, student_quantile


@pytest.mark.parametrize("degrees", [3, 4, 7, 19, 200])
def test_the_quantile_is_students(degrees: int) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=3e-3)


def test_one_group_has_the_textbook_interval() -> None:
    values = [3.1, 3.3, 2.9, 3.4, 3.0, 3.2]
    [interval] = pooled_intervals({"rope": values}).values()
    low, high = stats.t.interval(0.95, 5, loc=np.mean(values), scale=stats.sem(values))
    assert interval.mean == pytest.approx(np.mean(values)) and interval.half_width == pytest.approx(
        (high - low) / 2, rel=1e-3
    )


def test_pooled_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    generator, hits = np.random.default_rng(0), []
    for _ in range(400):
        groups = {str(mean): generator.normal(mean, 1.0, size=2).tolist() for mean in range(8)}
        hits += [abs(found.mean - float(name)) <= found.half_width for name, found in pooled_intervals(groups).items()]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_too_few_repetitions_give_no_interval() -> None:
    assert pooled_intervals({"rope": [1.0], "alibi": [2.0, 2.2]})["alibi"] == (pytest.approx(2.1), None)


def test_wilson_interval_against_published_values() -> None:
    assert share_interval(15 / 20, 20) == pytest.approx((0.5313, 0.8881), abs=1e-4)
