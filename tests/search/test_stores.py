"""Qdrant and Milvus, in their embedded modes, return what the index returns."""

from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.stores import copy_index, is_store, open_store, search_store

PLACES = {"qdrant": "qdrant:{}/q#docs", "milvus": "milvus:{}/m.db#docs"}
WHERES = [
    [],
    [Condition("number", ">=", 60)],
    [Condition("kind", "=", "odd"), Condition("number", "<", 50)],
    [Condition("kind", "!=", "odd")],
    [Condition("number", "=", 7)],
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    vectors = np.random.default_rng(0).standard_normal((200, 16)).astype("f4")
    records = [
        Record(f"d{i // 2}", f"text {i} 文字", {"number": i // 2, "kind": "odd" if i // 2 % 2 else "even"}, i % 2)
        for i in range(200)
    ]
    index = Index.create(tmp_path_factory.mktemp("stores") / "index", 16, model="none", recipe={"pooling": "mean"})
    index.add(records, vectors)
    return index


@pytest.mark.parametrize("kind", PLACES)
def test_a_store_returns_what_the_index_returns(index: Index, tmp_path: Path, kind: str) -> None:
    place = PLACES[kind].format(tmp_path)
    store = open_store(place)
    assert copy_index(index, store) == copy_index(index, store) == 200  # copying twice changes nothing
    store.close()
    store = open_store(place)
    assert store.settings == {"model": "none", "recipe": {"pooling": "mean"}}
    queries = np.random.default_rng(1).standard_normal((3, 16)).astype("f4")
    for where in WHERES:
        for k in (1, 10, 150):
            for found, expected in zip(
                search_store(store, queries, k, where), index.search(queries, k, where), strict=True
            ):
                assert [(hit.id, hit.passage, hit.text, hit.metadata) for hit in found] == [
                    (hit.id, hit.passage, hit.text, hit.metadata) for hit in expected
                ]
                np.testing.assert_allclose([h.score for h in found], [h.score for h in expected], rtol=1e-4, atol=1e-5)
    store.close()


def test_places(tmp_path: Path) -> None:
    assert is_store("qdrant:http://localhost:6333#docs") and not is_store("runs/api") and not is_store("C:/runs")
    with pytest.raises(ValueError, match="expected qdrant:LOCATION#COLLECTION"):
        open_store("qdrant:folder")
    with pytest.raises(ValueError, match="a file ending in .db"):
        open_store("milvus:folder#docs")
