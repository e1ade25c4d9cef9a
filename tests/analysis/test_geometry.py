"""Measures of geometry at sets whose value is known, and against loops and scikit-learn."""

import math

import numpy as np
import pytest
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from hf_embeddings.analysis.geometry import (
    effective_rank,
    hubness,
    iso_score,
    isotropy,
    mean_cosine,
    neighbours,
    norm_outliers,
    partition_score,
    repeated_rows,
    untrained_rows,
)

RANDOM = np.random.default_rng(0)
EVEN = np.concatenate([np.eye(6), -np.eye(6)])


def test_evenly_spread_vectors_are_isotropic_and_a_line_is_not() -> None:
    line = RANDOM.normal(size=(200, 1)) * np.arange(1, 9)
    even = isotropy(EVEN)
    assert even.iso_score == pytest.approx(1.0) and even.partition_score == pytest.approx(1.0)
    assert even.effective_rank == pytest.approx(6.0) and abs(even.mean_cosine) < 0.1
    assert iso_score(line) == pytest.approx(0.0, abs=1e-9) and effective_rank(line) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "scales, expected", [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.0), ([1, 1, 0, 0], 1 / 3), ([1, 1, 1, 0], 2 / 3)]
)
def test_iso_score_is_the_share_of_directions_in_use(scales: list[int], expected: float) -> None:
    """The law of the paper (section 4): k of n equal variances score (k - 1) / (n - 1)."""
    cloud = np.concatenate([np.eye(4), -np.eye(4)]) * np.array(scales)
    assert iso_score(cloud) == pytest.approx(expected, abs=1e-9)


def test_iso_score_against_its_reference_implementation() -> None:
    """Values of the package IsoScore 2.0.1 on these points."""
    cloud = np.sin(np.arange(40.0) ** 2).reshape(10, 4) * np.array([1, 2, 3, 4])
    assert iso_score(cloud) == pytest.approx(0.432771377721, abs=1e-9)


def test_means_by_loops() -> None:
    cloud = RANDOM.normal(size=(9, 4)) + 0.5
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for i, a in enumerate(cloud)
        for j, b in enumerate(cloud)
        if i != j
    ]
    assert mean_cosine(cloud) == pytest.approx(np.mean(cosines))
    directions = np.linalg.eigh(cloud.T @ cloud)[1].T
    sums = [sum(math.exp(sign * c @ w) for w in cloud) for c in directions for sign in (1, -1)]
    assert partition_score(cloud) == pytest.approx(min(sums) / max(sums))
    values = np.linalg.svd(cloud - cloud.mean(axis=0), compute_uv=False)
    shares = values / values.sum()
    assert effective_rank(cloud) == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))


def test_neighbours_and_hubs_against_scikit_learn() -> None:
    cloud = RANDOM.normal(size=(1500, 8))
    reference = NearestNeighbors(n_neighbors=11, metric="cosine").fit(cloud).kneighbors(return_distance=False)
    assert (neighbours(cloud, 11) == reference).mean() > 0.999  # fp32 may swap two that are as good as equal
    found = hubness(cloud, k=11)
    counts = np.bincount(reference.ravel(), minlength=1500)
    assert found.skewness == pytest.approx(skew(counts), abs=0.01) and found.hubs[0] == counts.argmax()
    assert found.most == counts.max() and found.never == pytest.approx((counts == 0).mean())


def test_rows_that_stand_out_are_named() -> None:
    table = RANDOM.normal(size=(300, 16))
    table[7] *= 40
    table[9] = table[8]
    assert norm_outliers(table)[0][0] == 7 and len(norm_outliers(table)) == 1
    assert repeated_rows(table) == [[8, 9]]


def test_rows_like_unused_ones_are_found() -> None:
    generator = np.random.default_rng(1)
    table = generator.normal(size=(600, 64))
    table[100:300] = 0.01 * generator.normal(size=(200, 64)) + 3.0  # never moved: 100 known, 100 to be found
    found = untrained_rows(table, np.arange(100, 200))
    assert set(found) <= set(range(200, 300)) and 20 < len(found) < 80  # the median rule finds about half, no others


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_collapsed_vectors_have_finite_figures(kind: type) -> None:
    """An encoder may give every text the same vector, up to rounding."""
    one = RANDOM.normal(size=12)
    for vectors in (np.tile(one, (30, 1)), one * (1 + 1e-8 * RANDOM.normal(size=(30, 12)))):
        found = isotropy(vectors.astype(kind))
        assert found.iso_score == 0 and found.effective_rank == 1 and found.mean_cosine == pytest.approx(1)
        assert math.isfinite(found.partition_score) and math.isfinite(hubness(vectors).skewness)


def test_rows_of_one_length_are_no_outliers_and_scores_are_finite() -> None:
    table = RANDOM.normal(size=(300, 16)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    assert norm_outliers(table) == [] and norm_outliers(np.zeros((5, 3))) == []
    table[7] *= 2
    [(row, score)] = norm_outliers(table)
    assert row == 7 and math.isfinite(score)


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        isotropy(np.zeros((5, 3)))
