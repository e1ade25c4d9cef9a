"""Every document of a source becomes one record, or is counted as repeated, or refused by its id."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.corpora.document import Document
from hf_embeddings.corpora.sources import read_described_documents
from hf_embeddings.search.source_records import REPEATED, is_derived, read_records, scopes_of


def test_an_id_is_the_own_one_or_the_file_and_its_content() -> None:
    given = [
        Document("one", {"id": 7, "title": "T"}, origin="/a.jsonl"),
        Document("one", {"title": "T"}, origin="/a.jsonl"),
        Document("two", {"title": "T"}, origin="/a.jsonl"),
        Document("one", {"title": "T"}, origin="/b.jsonl"),
    ]
    found = list(read_records(given, "id"))
    assert found[0].id == "7" and found[0].metadata == {"title": "T"} and len({record.id for record in found}) == 4
    assert [is_derived(record.id) for record in found] == [False, True, True, True]
    assert [record.id for record in read_records(given[::-1], "id")] == [record.id for record in found[::-1]]


def test_what_is_documented_in_a_package_has_its_name() -> None:
    given = [Document(text, {"title": "yaml.load"}, origin="pydoc:yaml") for text in ("one", "two", "one")]
    left_out: Counter[str] = Counter()
    first, second = read_records(given, "id", left_out)
    assert first.id == "yaml.load" != second.id and left_out == {REPEATED: 1}


def test_a_paragraph_keeps_its_id_wherever_its_file_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ids = []
    for text, name in (("cats", "t.txt"), ("new\n\ncats", str(tmp_path / "t.txt"))):
        Path("t.txt").write_text(text)
        ids.append({record.text: record.id for record in read_records(read_described_documents(name), "id")})
    assert ids[0]["cats"] == ids[1]["cats"] and scopes_of("t.txt") == scopes_of(str(tmp_path / "t.txt"))
    for (first, last), inside in ((scopes_of("t.txt")[0], ids[1]["cats"]), (scopes_of(".")[0], ids[1]["cats"])):
        assert first <= inside < last and not first <= str(tmp_path) + "2/t.txt#1" < last


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
    given = [Document("a", {"key": "x"}, "a.csv:2"), *filler, Document("b", {"key": "x"}, "b.csv:9")]
    with pytest.raises(ValueError, match="key 'x': two documents have it, in a.csv:2 and b.csv:9, and only"):
        list(read_records(given, "key"))


@pytest.mark.parametrize("value", ["", " ", True, False, [], ["a"], {"a": 1}], ids=repr)
def test_an_id_by_which_nobody_finds_a_document_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(ValueError, match=r"^a\.jsonl:3: got .* in the field 'key', expected an id.*--id-field"):
        list(read_records([Document("a", {"key": value}, "a.jsonl:3")], "key"))


@pytest.mark.parametrize("value, id_", [(0, "0"), (1.5, "1.5"), ("a b", "a b"), (2**70, str(2**70))])
def test_numbers_and_texts_are_ids(value: object, id_: str) -> None:
    assert [record.id for record in read_records([Document("a", {"key": value}, "a.jsonl:3")], "key")] == [id_]


def test_metadata_may_be_anything_that_json_holds() -> None:
    given = [Document("a", {"list": [1, {"b": None}], "id": json.loads("0")})]
    assert next(read_records(given, "id")).id == "0"


def test_metadata_of_a_dataset_become_json() -> None:
    """Its rows hold dates, arrays and NaN, and ids that are numbers."""
    given = [Document("a", {"when": date(2020, 2, 29), "score": np.float32("nan"), "id": np.int64(7), "raw": b"x"})]
    (record,) = read_records(given, "id")
    assert record.id == "7" and record.metadata == {"when": "2020-02-29", "score": None, "raw": None}
