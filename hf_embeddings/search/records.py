"""What an index knows of each row beside its vector, and how rows are chosen by it.

Records live in SQLite, whose transaction is also the commit of the vector files: see `index.py`.
"""

import json
import operator
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

DATABASE = "records.sqlite"
SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE records (row INTEGER PRIMARY KEY, id TEXT NOT NULL, passage INTEGER NOT NULL, text TEXT NOT NULL,
                      metadata TEXT NOT NULL);
CREATE INDEX records_by_id ON records (id);
CREATE TABLE removed (row INTEGER PRIMARY KEY);
CREATE TABLE blocks (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, sha256 TEXT NOT NULL);
"""
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_OPERATORS = ("!=", ">=", "<=", "=", ">", "<", "~")  # two characters before one; ~ is "contains"


def find_records(folder: str | Path) -> Path:
    """Return the database of an index.

    Raises:
        ValueError: the folder holds no index.
    """
    path = Path(folder) / DATABASE
    if not path.is_file():
        raise ValueError(f"{folder}: no index there (no {DATABASE}), expected a folder made by `index`")
    return path


@dataclass(frozen=True)
class Record:
    """A passage of a document: what is searched for, shown and filtered by."""

    id: str  # of the document; passages share it
    text: str
    metadata: dict[str, object] = field(default_factory=dict)  # anything JSON can hold
    passage: int = 0  # number of the passage in its document: see `passages.py`

    @property
    def title(self) -> str:
        """The title among the metadata; nothing where there is none."""
        title = self.metadata.get("title")
        return title if isinstance(title, str) else ""


@dataclass(frozen=True)
class Condition:
    """One condition on the metadata, such as year>=2020."""

    field: str
    operator: str
    value: str | float | int | bool

    def __post_init__(self) -> None:
        if self.operator not in _OPERATORS:
            raise ValueError(f"operator {self.operator!r}: expected one of {' '.join(_OPERATORS)}")
        if '"' in self.field:
            raise ValueError(f"field {self.field!r}: expected a name without quotation marks; rename the field")

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read `field=value`, with any operator; a value that is a JSON number or boolean is taken as one."""
        found = re.match(rf"\s*([^=!<>~]+?)\s*({'|'.join(_OPERATORS)})\s*(.*)$", text, re.DOTALL)
        if found is None:
            raise ValueError(f"condition {text!r}: expected FIELD{'|'.join(_OPERATORS)}VALUE, such as year>=2020")
        name, operator, value = found.groups()
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        return cls(name, operator, parsed if isinstance(parsed, bool | int | float) else value)

    def holds(self, metadata: dict[str, object]) -> bool:
        """Return whether metadata meet the condition; a missing field never does. The meaning of `sql`, in Python."""
        found = metadata.get(self.field)
        if found is None:
            return False
        if self.operator == "~":
            return str(self.value).lower() in str(found).lower()
        if self.operator in ("=", "!="):
            return (found == self.value or str(found) == str(self.value)) == (self.operator == "=")
        compare = _ORDERS[self.operator]
        if isinstance(found, str) and isinstance(self.value, str):
            return bool(compare(found, self.value))
        if isinstance(found, int | float) and isinstance(self.value, int | float):
            return bool(compare(found, self.value))
        return False

    def sql(self) -> tuple[str, list[object]]:
        """Return the condition as SQL and its parameters."""
        extract, path = "json_extract(metadata, ?)", f'$."{self.field}"'
        if self.operator == "~":
            return f"instr(lower({extract}), lower(?)) > 0", [path, str(self.value)]
        if self.operator in ("=", "!="):
            equal = f"({extract} = ? OR CAST({extract} AS TEXT) = ?)"
            parameters: list[object] = [path, self.value, path, str(self.value)]
            return (
                (equal, parameters)
                if self.operator == "="
                else (f"({extract} IS NOT NULL AND NOT {equal})", [path, *parameters])
            )
        kinds = "('text')" if isinstance(self.value, str) else "('integer', 'real')"
        typed = f"(json_type(metadata, ?) IN {kinds} AND {extract} {self.operator} ?)"
        return typed, [path, path, self.value]


def insert(connection: sqlite3.Connection, first: int, records: Sequence[Record]) -> None:
    """Write records as the rows from `first` on."""
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
        (
            (first + number, record.id, record.passage, record.text, json.dumps(record.metadata, ensure_ascii=False))
            for number, record in enumerate(records)
        ),
    )


def remove(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Forget rows; their vectors stay where they are and are left out of searches."""
    connection.executemany("INSERT INTO removed VALUES (?)", ((row,) for row in rows))
    connection.executemany("DELETE FROM records WHERE row = ?", ((row,) for row in rows))


def rows_of(connection: sqlite3.Connection, ids: Sequence[str]) -> list[int]:
    """Return the rows of all passages of the documents given."""
    found: list[int] = []
    for id_ in dict.fromkeys(ids):
        found += (row for (row,) in connection.execute("SELECT row FROM records WHERE id = ?", (id_,)))
    return found


def rows_where(connection: sqlite3.Connection, where: Sequence[Condition]) -> np.ndarray:
    """Return the rows (M,) whose metadata meet every condition.

    Raises:
        ValueError: a field that no record has.
    """
    clauses, parameters = [], []
    for condition in where:
        clause, values = condition.sql()
        clauses.append(clause)
        parameters += values
    found = connection.execute(f"SELECT row FROM records WHERE {' AND '.join(clauses)}", parameters).fetchall()
    if not found:
        _refuse_unknown_fields(connection, where)
    return np.array(found, np.int64).reshape(-1)


def read(connection: sqlite3.Connection, rows: Sequence[int]) -> list[Record]:
    """Return the records of rows, in that order."""
    query = "SELECT id, text, metadata, passage FROM records WHERE row = ?"
    found = [connection.execute(query, (int(row),)).fetchone() for row in rows]
    return [Record(id_, text, json.loads(metadata), passage) for id_, text, metadata, passage in found]


def read_all(connection: sqlite3.Connection, size: int) -> Iterator[tuple[list[int], list[Record]]]:
    """Yield all rows with their records, `size` at a time."""
    last = -1
    query = "SELECT row, id, text, metadata, passage FROM records WHERE row > ? ORDER BY row LIMIT ?"
    while found := connection.execute(query, (last, size)).fetchall():
        last = found[-1][0]
        yield [row for row, *_ in found], [Record(i, text, json.loads(data), n) for _, i, text, data, n in found]


def _refuse_unknown_fields(connection: sqlite3.Connection, where: Sequence[Condition]) -> None:
    for condition in where:
        path = f'$."{condition.field}"'
        query = "SELECT 1 FROM records WHERE json_type(metadata, ?) IS NOT NULL LIMIT 1"
        if connection.execute(query, (path,)).fetchone() is None:
            some = "SELECT DISTINCT key FROM (SELECT metadata FROM records LIMIT 1000), json_each(metadata)"
            names = ", ".join(sorted(name for (name,) in connection.execute(some))) or "none"
            raise ValueError(f"field {condition.field!r}: no record has it, expected one of {names}")
