"""A condition means the same in the index and on documents, for every operator and kind of value."""

import json
import math
import sqlite3
from datetime import date

import numpy as np
import pytest

from hf_embeddings.search import records as table
from hf_embeddings.search.records import Condition, Record

METADATA = [
    {"year": 2020, "lang": "en", "score": 0.5, "open": True},
    {"year": 1999, "lang": "zh", "score": 2},
    {"year": "2020", "lang": "", "odd name.x": "x"},
    {"lang": "EN-us", "nothing": None},
    {},
    {"score": math.nan, "lang": "ÉTÉ", "open": False, "tags": ["a", {"b": 1}], "big": 2**70},
    {"score": math.inf, "lang": "e\u0301te\u0301 straße", "big": -(2**63), "back\\sla\nsh": 1},
    {"when": date(2020, 2, 29), "raw": b"x", "half": np.float32(0.5), "nul\0": "a\0b\ud800"},
]


@pytest.fixture
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(table.SCHEMA)
    table.insert_records(connection, 0, [Record(str(i), "text", data) for i, data in enumerate(METADATA)])
    return connection


CONDITIONS = {
    "year=2020": [0, 2],
    "year!=2020": [1],
    "year>=2000": [0, 2],  # text that is a number, as in CSV
    "year<2000": [1],
    "year > 1999": [0, 2],
    "score<=2": [0, 1],
    "lang~EN": [0, 3],
    "lang=": [2],
    "lang>en": [1, 5, 6],
    "open=true": [0],
    "odd name.x=x": [2],
    "nothing=1": [],
    "score>0": [0, 1],
    "score!=7": [0, 1],
    "lang~été": [5, 6],
    "lang~STRASSE": [6],
    "lang=ÉTÉ": [5],
    "open=false": [5],
    "open=1": [0],
    "open~TRU": [0],
    'tags=["a",{"b":1}]': [5],
    "tags~b": [5],
    "tags>a": [],
    "big=1180591620717411303424": [5],
    "big<0": [6],
    "back\\sla\nsh=1": [6],
    "when>=2020-01-01": [7],
    "when=2020-02-29": [7],
    "half=0.5": [7],
    "nul\0=a\0b\ud800": [7],
    "raw=x": [],
    "year=NaN": [],
    "year<1e999": [],
}


@pytest.mark.parametrize(("text", "rows"), CONDITIONS.items())
def test_conditions(connection: sqlite3.Connection, text: str, rows: list[int]) -> None:
    condition = Condition.parse(text)
    assert table.rows_where(connection, [condition]).tolist() == rows
    assert [row for row, data in enumerate(METADATA) if condition.holds(data)] == rows
    kept = table.records_at(connection, range(len(METADATA)))
    assert [row for row, record in enumerate(kept) if condition.holds(record.metadata)] == rows


def test_what_is_kept_is_json(connection: sqlite3.Connection) -> None:
    """JSON of every reader: pages, other programs, other stores; and kept again it is the same."""
    for (metadata,) in connection.execute("SELECT metadata FROM records"):
        kept = json.loads(metadata, parse_constant=pytest.fail)
        assert Record("i", "t", kept).metadata == kept
    assert Record("a\0\ud800", "b\0", {"\0": (1, {"x": math.nan})}) == Record(
        "a\ufffd\ufffd", "b\ufffd", {"\ufffd": [1, {"x": None}]}
    )


def test_conditions_are_all_to_be_met(connection: sqlite3.Connection) -> None:
    both = [Condition.parse("year=2020"), Condition.parse("lang=en")]
    assert table.rows_where(connection, both).tolist() == [0]


def test_unknown_fields_and_unreadable_conditions_are_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match=r"(?s)field 'jear': no record has it, expected one of .*lang, nothing"):
        table.rows_where(connection, [Condition.parse("jear=2020")])
    assert table.rows_where(connection, [Condition.parse("year=1")]).tolist() == []
    connection.execute("UPDATE records SET metadata = '{\"year\": '")  # as NaN is to SQLite before 3.42
    with pytest.raises(ValueError, match="malformed JSON.*index the documents again"):
        table.rows_where(connection, [Condition.parse("year=1")])
    with pytest.raises(ValueError, match="condition 'year == 2020': got ==, expected one =; write year=2020"):
        Condition.parse("year == 2020")
    with pytest.raises(ValueError, match="condition 'year': expected FIELD"):
        Condition.parse("year")
    with pytest.raises(ValueError, match="operator 'in'"):
        Condition("year", "in", 1)
    with pytest.raises(ValueError, match="without quotation marks"):
        Condition('ye"ar', "=", 1)


def test_a_row_that_an_index_has_lost_is_damage(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="has lost a part"):
        table.records_at(connection, [10**6])
