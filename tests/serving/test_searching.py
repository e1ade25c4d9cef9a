"""POST /search, and what a query sees of an index that is written meanwhile: one state of it."""

import threading

import numpy as np
import pytest

from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Record
from hf_embeddings.serving.server import Server
from tests.serving.conftest import get, post


def test_search_finds_what_the_index_finds(server: Server, index: Index, texts: list[str]) -> None:
    encoder = server.served.engine.encoder
    status, answer = post(server, "/search", {"query": texts[17], "k": 3})
    assert status == 200 and not answer["note"]
    (expected,) = index.search(encoder.encode([texts[17]], prompt="query"), 3)
    assert [hit["id"] for hit in answer["results"]] == [hit.id for hit in expected]
    assert answer["results"][0]["score"] == pytest.approx(expected[0].score, abs=1e-6)


@pytest.mark.parametrize("where", ["half=1", ["half=1"], ["half>=1", "half<2"]])
def test_conditions_filter(server: Server, texts: list[str], where: object) -> None:
    _, answer = post(server, "/search", {"query": texts[17], "where": where})
    assert len(answer["results"]) == 10 and {hit["metadata"]["half"] for hit in answer["results"]} == {1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "query: missing"),
        ({"query": "x", "k": 0}, "k: got 0"),
        ({"query": "x", "k": 101}, "from 1 to 100"),
        ({"query": "x", "where": {"half": 1}}, "where: expected conditions"),
        ({"query": "x", "where": ["half"]}, "condition 'half'"),
        ({"query": "x", "where": ["halve=1"]}, "no record has it"),
        ({"query": "x", "filter": "half=1"}, "an unknown field"),
    ],
)
def test_mistakes_name_the_field(server: Server, given: dict[str, object], message: str) -> None:
    status, answer = post(server, "/search", given)
    assert status == 400 and message in answer["error"]["message"]


def test_a_query_that_cannot_be_spelled_is_told(server: Server) -> None:
    assert "[UNK]" in post(server, "/search", {"query": "zebra"})[1]["note"]


def test_vectors_and_ranks_of_the_indexs_model_too(server: Server, texts: list[str]) -> None:
    assert post(server, "/v1/embeddings", {"input": texts[0]})[0] == 200
    assert post(server, "/rerank", {"query": texts[0], "texts": texts[:2]})[0] == 200


def test_a_query_sees_one_state_of_the_index(server: Server, index: Index, texts: list[str]) -> None:
    """Documents are replaced in one go all the time: each answer has all documents of one go."""
    vector = np.zeros((6, 32), np.float32)
    vector[:, 0] = 1
    ended = threading.Event()

    def write() -> None:
        with Index(index.folder) as other:
            for go in range(1000):
                if ended.is_set():
                    break
                records = [Record(f"w{number}", f"go {go}", {"half": 7, "go": go}) for number in range(6)]
                other.add(records, vector)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        seen = set()
        while len(seen) < 5:
            results = post(server, "/search", {"query": texts[3], "where": "half=7"})[1]["results"]
            if not results and not seen:  # not yet written
                continue
            gos = {hit["text"] for hit in results}
            assert len(results) == 6 and len(gos) == 1
            seen |= gos
        assert seen
    finally:
        ended.set()
        writing.join()
        with Index(index.folder) as other:
            other.remove([f"w{number}" for number in range(6)])
    assert get(server, "/map")[0] == 200
