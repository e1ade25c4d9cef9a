"""The levels of cosines are those of a loop over all pairs, and of many vectors, those of draws."""

import numpy as np
import pytest

from hf_embeddings.analysis.calibration import cosine_levels


def test_levels_equal_a_loop() -> None:
    vectors = np.random.default_rng(0).normal(1, 1, (40, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = [unit[i] @ unit[j] for i in range(40) for j in range(i)]
    found = cosine_levels(vectors)
    assert found.pairs == len(cosines) and found.median == pytest.approx(np.median(cosines))
    assert found.above_half == pytest.approx(np.mean([c > 0.5 for c in cosines]))
    assert found.above_nine_tenths == pytest.approx(np.mean([c > 0.9 for c in cosines]))


def test_equal_vectors_are_at_one_and_draws_agree_with_all_pairs() -> None:
    assert cosine_levels(np.ones((3, 4))).above_nine_tenths == 1
    vectors = np.random.default_rng(1).normal(0.5, 1, (2000, 8))
    assert cosine_levels(vectors).above_half == pytest.approx(cosine_levels(vectors[:600]).above_half, abs=0.03)
