"""The scan returns what a full sort in double precision returns: rows, order, ties and all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_embeddings.search import scan

pytestmark = pytest.mark.precision  # its 8-bit products go other ways on other processors


def slow(query: np.ndarray, vectors: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    best = sorted(rows, key=lambda row: (-scores[row], row))[:k]
    return np.array(best, np.int64), scores[best]


def agree(queries: np.ndarray, vectors: np.ndarray, k: int, allowed: np.ndarray | None = None) -> None:
    found = scan.search_exactly(queries, vectors, scan.quantize(vectors), k, allowed)
    for query, (rows, scores) in zip(queries, found, strict=True):
        expected_rows, expected_scores = slow(query, vectors, k, allowed)
        # Equal scores may differ in the last bit between two orders of adding up: compare ties by their scores.
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-12, atol=1e-12)
        clear = np.abs(np.diff(expected_scores, prepend=np.inf, append=-np.inf)) > 1e-9
        for place in np.flatnonzero(clear[:-1] & clear[1:]):
            if place + 1 < len(rows) or len(rows) < k:
                assert rows[place] == expected_rows[place]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from(["normal", "near", "heavy", "large", "tiny", "copies", "zeros"]),
    st.booleans(),
)
def test_equals_a_full_sort(seed: int, rows: int, features: int, k: int, kind: str, filtered: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, features))
    match kind:
        case "near":  # scores closer to each other than a code can tell apart
            vectors = vectors[:1] + 1e-4 * vectors
        case "heavy":  # one feature outweighs the others, so that these vanish from the codes
            vectors[:, 0] *= 1000
        case "large":
            vectors *= 1e6
        case "tiny":
            vectors *= 1e-6
        case "copies":
            vectors = vectors[rng.integers(0, max(1, rows // 10), rows)]
        case "zeros":
            vectors[rng.random(rows) < 0.5] = 0
    queries = rng.standard_normal((3, features)).astype(np.float32)
    queries[2] = vectors[0]
    agree(queries, vectors.astype(np.float32), k, rng.random(rows) < 0.3 if filtered else None)


def test_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "BLOCK_ROWS", 64)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 24)).astype(np.float32)
    rising = vectors[np.argsort(vectors @ vectors[0])]  # each block better than all before
    for rows in (vectors, rising, rising[::-1].copy()):
        agree(vectors[:4], rows, 10)
        agree(vectors[:4], rows, 100)
        agree(vectors[:4], rows, 5, np.arange(1000) % 97 == 5)


def test_few_rows_are_scored_in_full() -> None:
    """The codes must rule out nearly everything, or the scan would be as slow as reading the vectors."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50_000, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    read: list[int] = []

    class Counted(np.ndarray):
        def __getitem__(self, rows):
            read.append(len(rows))
            return np.asarray(super().__getitem__(rows))

    scan.search_exactly(vectors[:5], vectors.view(Counted), scan.quantize(vectors), 10)
    assert len(read) == 5 and max(read) < 500  # chance decides how many more than 10; 1 % would be the failure


def test_nothing_to_search() -> None:
    empty = np.empty((0, 4), np.float32)
    ((rows, scores),) = scan.search_exactly(np.ones((1, 4), np.float32), empty, scan.quantize(empty), 3)
    assert len(rows) == len(scores) == 0
    one = np.ones((1, 4), np.float32)
    ((rows, _),) = scan.search_exactly(one, one, scan.quantize(one), 3, np.array([False]))
    assert len(rows) == 0
