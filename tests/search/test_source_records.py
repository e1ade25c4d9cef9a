"""Every document of a source becomes one record, or is counted as repeated, or refused by its id."""

import json
from collections import Counter

import pytest

from hf_embeddings.corpora.document import Document
from hf_embeddings.search.source_records import REPEATED, read_records


def test_ids_are_own_ones_then_titles_then_digests() -> None:
    given = [
        Document("one", {"id": 7, "title": "T"}),
        Document("two", {"title": "T"}),
        Document("three", {"title": "T"}),
        Document("four"),
    ]
    found = list(read_records(given, "id"))
    assert [record.id for record in found[:2]] == ["7", "T"] and len({record.id for record in found}) == 4
    assert found[0].metadata == {"title": "T"}
    assert [record.id for record in read_records(given, "id")] == [record.id for record in found]


def test_repeated_documents_are_left_out_and_counted() -> None:
    given = [
        Document("a", {"id": "x"}),
        Document("a", {"id": "x"}),
        Document("b", {"title": "B"}),
        Document("b", {"title": "B"}),
        Document("c"),
        Document("c"),
    ]
    left_out: Counter[str] = Counter()
    assert [record.text for record in read_records(given, "id", left_out)] == ["a", "b", "c"]
    assert left_out == {REPEATED: 3}


@pytest.mark.parametrize("between", [0, 5000])
def test_different_documents_with_one_id_are_refused_wherever_they_stand(between: int) -> None:
    filler = [Document(f"filler {number}", {"key": f"f{number}"}) for number in range(between)]
    given = [Document("a", {"key": "x"}), *filler, Document("b", {"key": "x"})]
    with pytest.raises(ValueError, match="key 'x': two documents have it"):
        list(read_records(given, "key"))


def test_metadata_may_be_anything_that_json_holds() -> None:
    given = [Document("a", {"list": [1, {"b": None}], "id": json.loads("0")})]
    assert next(read_records(given, "id")).id == "0"
