"""Agreement, analogies and retrieval by hand and against scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import label_ranking_average_precision_score

from hf_embeddings.analysis.similarity import agreement, pair_cosines, ranking, solve_analogies

RANDOM = np.random.default_rng(0)


def test_agreement_is_spearman_of_cosines() -> None:
    first, second, scores = RANDOM.normal(size=(30, 5)), RANDOM.normal(size=(30, 5)), RANDOM.normal(size=30)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(pair_cosines(first, second), cosines)
    assert agreement(first, second, scores).spearman == pytest.approx(spearmanr(cosines, scores).statistic)
    assert agreement(first, second, np.exp(cosines)).spearman == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least 3"):
        agreement(first[:2], second[:2], scores[:2])


def test_analogies_by_parallelogram() -> None:
    words = ["man", "woman", "king", "queen", "apple"]
    vectors = np.array([[1, 0, 0.1], [0, 1, 0.1], [1, 0, 2], [0, 1, 2], [1, 1, -3.0]])
    rows = {word: row for row, word in enumerate(words)}
    answers = solve_analogies(vectors, np.array([[rows["man"], rows["king"], rows["woman"]]]))
    assert words[answers[0]] == "queen"
    # The three words of the question are never an answer, even where one of them lies nearest.
    assert solve_analogies(vectors, np.array([[0, 0, 3]]))[0] not in (0, 3)


def test_ranking_by_hand() -> None:
    candidates = np.array([[1, 0.0], [0.9, 0.1], [0, 1], [-1, 0], [0.5, 0.5], [0.1, 0.9]])
    found = ranking(np.array([[1, 0.0], [0, 1]]), candidates, [{1}, {2, 3}])
    # Query 0 sees 0, 1, 4, 5, 2, 3: its right text is second. Query 1 sees 2, 5, 4, 1, then 0 and 3.
    assert found.mrr == pytest.approx((1 / 2 + 1) / 2) and (found.queries, found.candidates) == (2, 6)
    assert found.recall == pytest.approx({1: (0 + 0.5) / 2, 5: (1 + 0.5) / 2, 10: 1.0})


def test_ranking_against_scikit_learn() -> None:
    queries, candidates = RANDOM.normal(size=(300, 6)), RANDOM.normal(size=(40, 6))
    right = RANDOM.integers(0, 40, size=300)
    scores = np.array([[np.dot(q, c) / np.linalg.norm(c) for c in candidates] for q in queries])
    truth = np.eye(40)[right]
    found = ranking(queries, candidates, [{int(row)} for row in right])
    assert found.mrr == pytest.approx(label_ranking_average_precision_score(truth, scores))  # equal for one right text
    ranks = (scores > scores[np.arange(300), right][:, None]).sum(axis=1) + 1
    assert found.recall == pytest.approx({k: (ranks <= k).mean() for k in (1, 5, 10)})


def test_equal_candidates_are_no_gift() -> None:
    found = ranking(np.ones((1, 2)), np.ones((4, 2)), [{2}])
    assert found.mrr == pytest.approx(1 / 3) and found.recall[1] == 0
