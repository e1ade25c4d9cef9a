"""The laws of stores: the index on disk, Qdrant and Milvus answer as a loop over all records does.

Both run in their embedded modes, and on a server of Qdrant where QDRANT_URL names one, in collections of its own.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.results import Hit
from hf_embeddings.search.settings import IndexSettings
from hf_embeddings.search.stores import copy_index, is_store, open_store, search_store

WIDTH = 16
PLACES = {"disk": "", "qdrant": "qdrant:{}/q#docs", "milvus": "milvus:{}/m.db#docs"}
if SERVER := os.environ.get("QDRANT_URL"):
    PLACES["qdrant server"] = f"qdrant:{SERVER}#laws-{{}}"
KINDS = [
    {"number": 7, "kind": "odd", "odd name.x": '[a] "b"', "tags": ["x", 1]},
    {"number": "7", "kind": "even", "open": True},
    {"number": 7.0, "kind": "Ünder", "none": None, "open": False},
    {"number": -2.5, "kind": "", "tags": {"x": 1}},
    {"kind": "STRASSE"},
    {},
]
WHERES = [
    "number=7", "number!=7", "number>=0", "number<7", "number>6", "number=7.0", "number=-2.5", "number~7", "kind=odd",
    "kind!=odd", "kind~ünd", "kind~straße", "kind>even", "kind=", "open=true", "open=1", "open!=true", "open~TRUE",
    'odd name.x=[a] "b"', "odd name.x~B", 'tags=["x",1]', "tags~x", "tags!=x", "number=nothing", "kind<=odd",
]  # fmt: skip


def place_of(kind: str, folder: Path) -> str:
    """The place for the collection of one test: in its folder or, on a server, under a name that no other has."""
    return PLACES[kind].format(uuid.uuid4().hex if kind == "qdrant server" else folder)


@pytest.fixture(autouse=True)
def nothing_stays_on_the_server() -> Iterator[None]:
    yield
    if SERVER:
        from qdrant_client import QdrantClient

        client = QdrantClient(url=SERVER)
        for collection in client.get_collections().collections:
            if collection.name.startswith("laws-"):
                client.delete_collection(collection.name)
        client.close()


def settings(model: str) -> IndexSettings:
    return IndexSettings(model=model, recipe={}, precision="fp32")


class Stored:
    """An index, and the place where it is searched: itself, or the database that it is copied into."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.place, self.folder = place_of(kind, folder), folder / "index"
        self.index = Index.create(self.folder, WIDTH, settings("none"))
        self.content: dict[tuple[str, int], tuple[Record, np.ndarray]] = {}

    def add(self, records: list[Record], seed: int) -> None:
        vectors = np.random.default_rng(seed).standard_normal((len(records), WIDTH)).astype("f4")
        self.remove_from_content([record.id for record in records])
        self.content |= {(r.id, r.passage): (r, v) for r, v in zip(records, vectors, strict=True)}
        self.index.add(records, vectors)

    def remove(self, ids: list[str]) -> None:
        self.remove_from_content(ids)
        self.index.remove(ids)

    def remove_from_content(self, ids: list[str]) -> None:
        self.content = {key: found for key, found in self.content.items() if key[0] not in ids}

    def publish(self) -> None:
        """Bring the place to the state of the index; each time as another process would."""
        if self.place:
            store = open_store(self.place)
            assert copy_index(self.index, store) == len(self.content)
            store.close()

    def find(self, queries: np.ndarray, k: int, where: list[Condition]) -> list[list[Hit]]:
        if not self.place:
            with Index(self.folder) as index:
                return index.search(queries, k, where)
        store = open_store(self.place)
        try:
            return search_store(store, queries, k, where)
        finally:
            store.close()

    def expected(self, query: np.ndarray, k: int, where: list[Condition]) -> list[tuple[str, int, str, dict]]:
        met = [found for found in self.content.values() if all(each.holds(found[0].metadata) for each in where)]
        best: dict[str, tuple[str, int, str, dict]] = {}
        for record, _ in sorted(met, key=lambda found: -float(found[1].astype("f8") @ query)):
            best.setdefault(record.id, (record.id, record.passage, record.text, record.metadata))
        return list(best.values())[:k]

    def check(self, *wheres: str) -> None:
        queries = np.random.default_rng(1).standard_normal((2, WIDTH)).astype("f4")
        where = [Condition.parse(text) for text in wheres]
        for k in (3, 60):
            for query, hits in zip(queries, self.find(queries, k, where), strict=True):
                found = [(hit.id, hit.passage, hit.text, hit.metadata) for hit in hits]
                assert found == self.expected(query, k, where), wheres


def some(start: int, count: int, word: str = "text") -> list[Record]:
    """Return documents of two passages each."""
    return [
        Record(f"d{i}", f"{word} {i} 文字", KINDS[i % len(KINDS)], passage)
        for i in range(start, start + count)
        for passage in range(2)
    ]


@pytest.fixture(params=PLACES)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    made = Stored(request.param, tmp_path)
    made.add(some(0, 48), seed=0)
    made.publish()
    yield made
    made.index.close()


def test_conditions_mean_the_same_everywhere(stored: Stored) -> None:
    for where in ([], *([text] for text in WHERES), ["number=7", "kind!=odd"]):
        stored.check(*where)
    with pytest.raises(ValueError, match="field 'nmber': no record has it, expected one of kind, .*number"):
        stored.check("nmber=7")


def test_what_is_added_is_found_and_what_is_replaced_or_removed_is_not(stored: Stored) -> None:
    stored.add([*some(60, 3), *some(3, 2, "changed"), Record("d7", "one passage left", {}, 0)], seed=2)
    stored.remove(["d9", "d10"])
    stored.publish()
    stored.check()
    stored.check("number=7")
    stored.index.compact()
    stored.publish()
    stored.check()


@pytest.mark.parametrize("kind", [kind for kind in PLACES if PLACES[kind]])
def test_a_collection_holds_one_index_of_one_model(kind: str, tmp_path: Path) -> None:
    stored = Stored(kind, tmp_path)
    stored.add(some(0, 4), seed=0)
    store = open_store(stored.place)
    with pytest.raises(ValueError, match="no complete copy of an index is there"):
        search_store(store, np.ones(WIDTH), 1)
    copy_index(stored.index, store)
    for model, held in (("other", "vectors of model 'none'"), ("none", "the copy of another index")):
        other = Index.create(tmp_path / model, WIDTH, settings(model))
        with pytest.raises(ValueError, match=f"holds {held}.*name another collection"):
            copy_index(other, store)
    assert store.settings.model == "none"
    store.close()
    stored.check()


@pytest.mark.parametrize("kind", [kind for kind in PLACES if PLACES[kind]])
def test_an_interrupted_copy_is_refused_until_it_is_repeated(kind: str, tmp_path: Path) -> None:
    stored = Stored(kind, tmp_path)
    stored.add(some(0, 4), seed=0)
    store = open_store(stored.place)

    def interrupt(rows: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_index(stored.index, store, interrupt)
    with pytest.raises(ValueError, match="no complete copy"):
        search_store(store, np.ones(WIDTH), 1)
    store.close()
    stored.publish()
    stored.check()


def test_places(tmp_path: Path) -> None:
    assert is_store("qdrant:http://localhost:6333#docs") and not is_store("runs/api") and not is_store("C:/runs")
    with pytest.raises(ValueError, match="expected qdrant:LOCATION#COLLECTION"):
        open_store("qdrant:folder")
    with pytest.raises(ValueError, match="a file ending in .db"):
        open_store("milvus:folder#docs")
