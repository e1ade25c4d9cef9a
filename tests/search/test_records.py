"""A condition means the same in SQL and in Python, for every operator and kind of value."""

import json
import sqlite3

import pytest

from hf_embeddings.search import records as table
from hf_embeddings.search.records import Condition, Record

METADATA = [
    {"year": 2020, "lang": "en", "score": 0.5, "open": True},
    {"year": 1999, "lang": "zh", "score": 2},
    {"year": "2020", "lang": "", "odd name.x": "x"},
    {"lang": "EN-us", "nothing": None},
    {},
]


@pytest.fixture
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(table.SCHEMA)
    table.insert(connection, 0, [Record(str(i), "text", data) for i, data in enumerate(METADATA)])
    return connection


CONDITIONS = {
    "year=2020": [0, 2],
    "year!=2020": [1],
    "year>=2000": [0],
    "year<2000": [1],
    "year > 1999": [0],
    "score<=2": [0, 1],
    "lang~EN": [0, 3],
    "lang=": [2],
    "lang>en": [1],
    "open=true": [0],
    "odd name.x=x": [2],
    "nothing=1": [],
}


@pytest.mark.parametrize(("text", "rows"), CONDITIONS.items())
def test_conditions(connection: sqlite3.Connection, text: str, rows: list[int]) -> None:
    condition = Condition.parse(text)
    assert table.rows_where(connection, [condition]).tolist() == rows
    assert [row for row, data in enumerate(METADATA) if condition.holds(json.loads(json.dumps(data)))] == rows


def test_conditions_are_all_to_be_met(connection: sqlite3.Connection) -> None:
    both = [Condition.parse("year=2020"), Condition.parse("lang=en")]
    assert table.rows_where(connection, both).tolist() == [0]


def test_unknown_fields_and_unreadable_conditions_are_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="field 'jear': no record has it, expected one of lang, nothing"):
        table.rows_where(connection, [Condition.parse("jear=2020")])
    assert table.rows_where(connection, [Condition.parse("year=1")]).tolist() == []
    with pytest.raises(ValueError, match="condition 'year': expected FIELD"):
        Condition.parse("year")
    with pytest.raises(ValueError, match="operator 'in'"):
        Condition("year", "in", 1)
    with pytest.raises(ValueError, match="without quotation marks"):
        Condition('ye"ar', "=", 1)
