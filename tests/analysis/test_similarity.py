"""Agreement, analogies and retrieval by hand and against scipy and scikit-learn."""

import numpy as np
import pytest
import pytrec_eval
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


def test_no_order_is_less_likely_than_one_of_all_orders() -> None:
    first = np.array([[1, 0.1 * number] for number in range(5)])
    result = agreement(first, np.tile([1.0, 0.0], (5, 1)), [5, 4, 3, 2, 1])
    assert result.spearman == pytest.approx(1.0) and result.p_value == pytest.approx(2 / 120)


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
    found = ranking(np.array([[1, 0.0], [0, 1]]), candidates, [{1: 1}, {2: 1, 3: 1}])
    # Query 0 sees 0, 1, 4, 5, 2, 3: its right text is second. Query 1 sees 2, 5, 4, 1, then 0 and 3.
    assert found.mrr == pytest.approx((1 / 2 + 1) / 2) and (found.queries, found.candidates) == (2, 6)
    assert found.recall == pytest.approx({1: (0 + 0.5) / 2, 5: (1 + 0.5) / 2, 10: 1.0})


def test_ranking_against_scikit_learn() -> None:
    queries, candidates = RANDOM.normal(size=(300, 6)), RANDOM.normal(size=(40, 6))
    right = RANDOM.integers(0, 40, size=300)
    scores = np.array([[np.dot(q, c) / np.linalg.norm(c) for c in candidates] for q in queries])
    truth = np.eye(40)[right]
    found = ranking(queries, candidates, [{int(row): 1} for row in right])
    assert found.mrr == pytest.approx(label_ranking_average_precision_score(truth, scores))  # equal for one right text
    ranks = (scores > scores[np.arange(300), right][:, None]).sum(axis=1) + 1
    assert found.recall == pytest.approx({k: (ranks <= k).mean() for k in (1, 5, 10)})


def test_equal_candidates_are_no_gift() -> None:
    found = ranking(np.ones((1, 2)), np.ones((4, 2)), [{2: 1}])
    assert found.mrr == pytest.approx(1 / 3) and found.recall[1] == 0


def test_what_has_no_order_has_no_correlation() -> None:
    first, second = RANDOM.normal(size=(30, 5)), RANDOM.normal(size=(30, 5))
    assert agreement(first, second, np.full(30, 4.2)).spearman is None
    collapsed = (np.ones((30, 5)) * RANDOM.uniform(1, 2, size=(30, 1))).astype(np.float32)
    assert agreement(collapsed, collapsed[::-1], RANDOM.normal(size=30)).spearman is None


@pytest.mark.parametrize("seed", range(5))
def test_rankings_are_those_of_trec_eval(seed: int) -> None:
    """With grades, queries without a right document, documents that are missing, and ones that are not ranked."""
    drawn = np.random.default_rng(seed)
    queries, candidates = drawn.normal(size=(20, 3)), drawn.normal(size=(60, 3)).repeat([1] * 50 + [2] * 10, axis=0)
    names = [f"d{number:03}" for number in reversed(range(len(candidates)))]  # trec_eval: the last id first
    judged = [dict.fromkeys(drawn.integers(0, 70, size=4).tolist(), 0) for _ in queries]
    judged = [{row: int(drawn.integers(0, 3)) for row in own} for own in judged[:-1]] + [{3: 0}]
    ignored = [set(drawn.integers(0, 70, size=2).tolist()) if query % 2 else set() for query in range(20)]
    found = ranking(
        queries,
        candidates,
        [{row: grade for row, grade in own.items() if grade} for own in judged],
        missing=[[2.0] if query % 3 == 0 else [] for query in range(20)],
        ignored_rows=ignored,
    )
    scores = queries @ (candidates / np.linalg.norm(candidates, axis=1, keepdims=True)).T
    run = {
        str(query): {names[row]: float(row_scores[row]) for row in range(len(names)) if row not in ignored[query]}
        for query, row_scores in enumerate(scores)
    }
    truth = {
        str(query): {names[row]: grade for row, grade in own.items()} | ({"gone": 2} if query % 3 == 0 else {})
        for query, own in enumerate(judged)
    }
    theirs = pytrec_eval.RelevanceEvaluator(truth, {"recall.1,5,10", "ndcg_cut.10", "recip_rank"}).evaluate(run)
    mean = {name: np.mean([own[name] for own in theirs.values()]) for name in theirs["0"]}
    assert found.recall == pytest.approx({k: mean[f"recall_{k}"] for k in (1, 5, 10)})
    assert found.ndcg == pytest.approx({10: mean["ndcg_cut_10"]}) and found.mrr == pytest.approx(mean["recip_rank"])
