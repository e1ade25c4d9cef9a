"""Each law of positions against loops written from its definition, and at tables where its value is known."""

import math

import numpy as np
import pytest

from hf_embeddings.analysis.position_laws import (
    linear_map_fit,
    locality,
    monotonicity,
    score_laws,
    shift_fit,
    smoothness,
    softmax,
    symmetry,
    translation_invariance,
    uniqueness,
    vector_laws,
)

RANDOM = np.random.default_rng(0)


def sinusoidal(length: int, width: int) -> np.ndarray:
    angles = np.arange(length)[:, None] / 10_000 ** (np.arange(0, width, 2) / width)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, width)


def alibi(length: int, slope: float = 0.5) -> np.ndarray:
    offsets = np.arange(length)
    return -slope * np.abs(offsets[:, None] - offsets)[None].astype(float)


def test_uniqueness_and_smoothness_by_loops() -> None:
    table = RANDOM.normal(size=(20, 6))
    norms = [math.sqrt(sum(x * x for x in row)) for row in table]
    pairs = [math.dist(table[p], table[q]) for p in range(20) for q in range(p)]
    assert uniqueness(table) == pytest.approx(min(pairs) / (sum(norms) / 20))
    cosines = [
        sum(a * b for a, b in zip(table[p], table[p + 1], strict=True)) / norms[p] / norms[p + 1] for p in range(19)
    ]
    assert smoothness(table) == pytest.approx(sum(cosines) / 19)
    table[7] = table[3]
    assert uniqueness(table) == 0.0
    assert smoothness(np.ones((5, 3))) == pytest.approx(1.0)


def test_a_linear_map_is_found_where_there_is_one_and_only_there() -> None:
    step = np.linalg.qr(RANDOM.normal(size=(8, 8)))[0]
    orbit = [RANDOM.normal(size=8)]
    for _ in range(99):
        orbit.append(step @ orbit[-1])
    for k in (1, 4, 16):
        assert linear_map_fit(np.array(orbit), k) == pytest.approx(1.0, abs=1e-9)
        assert linear_map_fit(sinusoidal(200, 32), k) > 0.999999
        assert linear_map_fit(RANDOM.normal(size=(100, 8)), k) < 0.3
    assert linear_map_fit(np.array(orbit)[50:], 3, fit_on=np.array(orbit)[:50]) == pytest.approx(1.0, abs=1e-9)
    assert linear_map_fit(np.ones((100, 8)), 1) is None


def test_locality_and_symmetry_by_loops() -> None:
    attention = softmax(RANDOM.normal(size=(2, 9, 9)))
    local = [sum(a[i, j] / 2 ** abs(i - j) for j in range(9)) for a in attention for i in range(9)]
    assert locality(attention) == pytest.approx(sum(local) / 18)
    parts = []
    for a in attention:
        for i in range(1, 8):
            reach = min(i, 8 - i)
            gap = [abs(a[i, i - m] - a[i, i + m]) for m in range(1, reach + 1)]
            span = max(gap) - min(gap)
            parts += [(g - min(gap)) / span if span else 0.0 for g in gap]
    assert symmetry(attention) == pytest.approx(1 - sum(parts) / len(parts))
    assert locality(np.eye(9)[None]) == 1.0 and symmetry(softmax(alibi(9))) == 1.0


def test_translation_invariance_and_monotonicity() -> None:
    assert translation_invariance(alibi(30)) == pytest.approx(1.0) and monotonicity(alibi(30)) == 1.0
    assert monotonicity(-alibi(30)) == 0.0 and monotonicity(np.zeros((1, 9, 9))) == 0.5
    assert translation_invariance(np.zeros((1, 9, 9))) is None
    scores = RANDOM.normal(size=(1, 12, 12))
    residual = total = falls = steps = 0.0
    for i in range(12):
        for j in range(12):
            diagonal = np.diagonal(scores[0], j - i)
            residual += (scores[0, i, j] - diagonal.mean()) ** 2
            total += (scores[0, i, j] - scores.mean()) ** 2
            if j != i:  # a step away from the query, to this key from the one before it
                nearer = scores[0, i, j - 1 if j > i else j + 1]
                falls, steps = falls + (scores[0, i, j] < nearer), steps + 1
    assert translation_invariance(scores) == pytest.approx(1 - residual / total)
    assert monotonicity(scores) == pytest.approx(falls / steps)


def test_scores_that_see_differences_are_moved_by_a_shift() -> None:
    assert shift_fit(alibi(30), 5) == pytest.approx(1.0)
    assert shift_fit(RANDOM.normal(size=(3, 40, 40)), 5) < 0.1
    laws = score_laws(alibi(32))
    assert laws.relative_linearity == pytest.approx(1.0) and set(laws.relative_linearity_by_shift) == {1, 2, 4, 8}
    assert laws.uniqueness > 0.1


def test_the_sinusoid_has_what_its_paper_claims() -> None:
    table = sinusoidal(128, 64)
    laws = vector_laws(table, (table @ table.T)[None])
    assert laws.uniqueness > 0.1 and laws.smoothness > 0.9 and laws.relative_linearity > 0.999
    assert laws.translation_invariance == pytest.approx(1.0) and 0 < laws.locality < 1
