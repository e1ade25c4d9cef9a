"""The graph finds nearly what exact search finds, with exact scores, and keeps up with the index."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.search.approximate import Graph, graph_path
from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Condition, Record

WIDTH, ROWS = 32, 4000


def vectors(seed: int, count: int) -> np.ndarray:
    """Vectors around 50 centres, as texts lie around subjects."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((50, WIDTH))
    found = centres[rng.integers(0, 50, count)] + rng.standard_normal((count, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def records(start: int, count: int) -> list[Record]:
    return [Record(f"d{i}", f"text {i}", {"tenth": i % 10}) for i in range(start, start + count)]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index.create(tmp_path / "index", WIDTH)
    index.add(records(0, ROWS), vectors(1, ROWS))
    return index


def recall(index: Index, graph: Graph, **options: object) -> float:
    """Return the share of the exact results that are found, after comparing the scores of those found."""
    queries = vectors(2, 50)
    exact, found = (
        [{hit.id: hit.score for hit in hits} for hits in index.search(queries, 10, nearest=nearest, **options)]
        for nearest in (None, graph.nearest)
    )
    assert [len(hits) for hits in found] == [len(hits) for hits in exact]
    for hits, right in zip(found, exact, strict=True):
        assert list(hits.values()) == sorted(hits.values(), reverse=True)
        assert all(score == pytest.approx(right[id_], abs=1e-12) for id_, score in hits.items() if id_ in right)
    return sum(len(hits.keys() & right.keys()) for hits, right in zip(found, exact, strict=True)) / (10 * len(exact))


def test_nearly_all_of_the_exact_results_are_found(index: Index) -> None:
    added: list[int] = []
    graph = Graph(index, added.append)
    assert sum(added) == ROWS and graph_path(index).is_file()
    assert recall(index, graph) > 0.98
    assert recall(index, graph, where=[Condition("tenth", "=", 3)]) > 0.95
    assert Graph(index, added.append).graph.ntotal == sum(added) == ROWS  # read, not built again


def test_what_was_removed_is_not_found_and_what_came_later_is(index: Index) -> None:
    graph = Graph(index)
    query = vectors(1, ROWS)[7:8]
    assert index.search(query, 1, nearest=graph.nearest)[0][0].id == "d7"
    index.remove(["d7"])
    assert index.search(query, 1, nearest=graph.nearest)[0][0].id != "d7"
    index.add([Record("later", "again")], query)
    assert index.search(query, 1, nearest=graph.nearest)[0][0].id == "later"
    assert graph.graph.ntotal == ROWS and Graph(index).graph.ntotal == ROWS + 1
    index.compact()
    assert index.search(query, 1, nearest=graph.nearest)[0][0].id == "later"  # rows have moved: searched exactly
    assert recall(index, Graph(index)) > 0.98
    assert [path.name for path in index.folder.glob("graph-*")] == ["graph-2.faiss"]


def test_few_rows_and_large_k(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", WIDTH)
    assert index.search(vectors(2, 1), 5, nearest=Graph(index).nearest) == [[]]
    index.add(records(0, 3), vectors(1, 3))
    assert len(index.search(vectors(2, 1), 10**6, nearest=Graph(index).nearest)[0]) == 3


def test_a_damaged_file_and_a_missing_library_name_the_cure(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    path = graph_path(index)
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match="graph-1.faiss: damaged.*remove the file"):
        Graph(index)
    other = Index.create(index.folder.parent / "other", WIDTH)
    other.add(records(0, ROWS + 1), vectors(1, ROWS + 1))
    path.write_bytes(graph_path(Graph(other).index).read_bytes())
    with pytest.raises(ValueError, match="of another index"):
        Graph(index)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match="run: pip install 'faiss-cpu>="):
        Graph(index)
