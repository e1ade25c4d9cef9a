"""What an index knows of each row beside its vector, and how rows are chosen by it.

Records live in SQLite, whose transaction is also the commit of the vector files: see `index.py`.
"""

import json
import math
import operator
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
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
_BOOLEANS: dict[str | None, object] = {"true": True, "false": False}  # which SQLite extracts as 1 and 0
_UNKEPT = re.compile("[\0\ud800-\udfff]")
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
    """A passage of a document: what is searched for, shown and filtered by.

    Metadata are kept as JSON can hold them. NaN, infinity, bytes and other values that it has no word for become null;
    dates and whole numbers of more than 64 bits become text; NUL and lone surrogates become U+FFFD.
    """

    id: str  # of the document; passages share it
    text: str
    metadata: dict[str, object] = field(default_factory=dict)
    passage: int = 0  # number of the passage in its document: see `passages.py`

    def __post_init__(self) -> None:
        for name in ("id", "text", "metadata"):
            object.__setattr__(self, name, as_kept(getattr(self, name)))

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
        object.__setattr__(self, "field", as_kept(self.field))
        object.__setattr__(self, "value", as_kept(self.value))

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read `field=value`, with any operator; a value that is a JSON number or boolean is taken as one."""
        match = re.match(rf"\s*([^=!<>~]+?)\s*({'|'.join(_OPERATORS)})\s*(.*)$", text, re.DOTALL)
        if match is None:
            raise ValueError(f"condition {text!r}: expected FIELD{'|'.join(_OPERATORS)}VALUE, such as year>=2020")
        name, operator, value = match.groups()
        if operator == "=" and value.startswith("="):  # no value begins so, and nothing would be found
            raise ValueError(f"condition {text!r}: got ==, expected one =; write {name}={value[1:].strip()}")
        try:
            json_value = as_kept(json.loads(value))
        except (ValueError, RecursionError):
            json_value = value
        return cls(name, operator, json_value if isinstance(json_value, bool | int | float) else value)

    def holds(self, metadata: dict[str, object]) -> bool:
        """Return whether metadata meet the condition; a missing field never does."""
        return self.meets(as_kept(metadata).get(self.field))

    def meets(self, actual: object) -> bool:
        """Return whether a value of the field, as it is kept, meets the condition: the one comparison of all verbs."""
        if actual is None:
            return False
        if self.operator == "~":
            return _folded(self.value) in _folded(actual)
        if self.operator in ("=", "!="):
            return _equal(actual, self.value) == (self.operator == "=")
        compare = _ORDERS[self.operator]
        if isinstance(actual, str) and isinstance(self.value, int | float):
            actual = _number(actual)  # all cells of CSV are text
        if isinstance(actual, str) and isinstance(self.value, str):
            return bool(compare(actual, self.value))
        if isinstance(actual, int | float) and isinstance(self.value, int | float):
            return bool(compare(actual, self.value))
        return False

    @property
    def path(self) -> str:
        """The field as SQLite finds it in JSON."""
        return f'$."{json.dumps(self.field, ensure_ascii=False)[1:-1]}"'


def as_kept(value: Any) -> Any:  # noqa: ANN401  of text, text; of an object, an object
    """Return a value as JSON and SQLite can hold it: see `Record`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _UNKEPT.sub("\ufffd", value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_UNKEPT.sub("\ufffd", str(name)): as_kept(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_kept(inner) for inner in value]
    if isinstance(value, np.generic):
        return as_kept(value.item())
    return value.isoformat() if isinstance(value, date | time) else None


def _number(text: str) -> float | str:
    """Return the number that a text is; the text, where it is none."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _equal(actual: object, value: object) -> bool:
    """Tell whether two values are equal, those of different kinds as text."""
    for kind in (str, int | float):
        if isinstance(actual, kind) and isinstance(value, kind):
            return actual == value
    return as_text(actual) == as_text(value)


def as_text(value: object) -> str:
    """Return a value as a condition compares it with text: that of JSON, without the quotation marks of a string."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _folded(value: object) -> str:
    """Return text in which letters are equal whatever their case, and however their accents are written."""
    text = as_text(value)
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def insert_records(connection: sqlite3.Connection, first: int, records: Sequence[Record]) -> None:
    """Write records as the rows from `first` on."""
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
        (
            (
                first + number,
                record.id,
                record.passage,
                record.text,
                json.dumps(record.metadata, ensure_ascii=False, allow_nan=False),
            )
            for number, record in enumerate(records)
        ),
    )


def remove_rows(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Forget rows; their vectors stay where they are and are left out of searches."""
    connection.executemany("INSERT INTO removed VALUES (?)", ((row,) for row in rows))
    connection.executemany("DELETE FROM records WHERE row = ?", ((row,) for row in rows))


def rows_of_documents(connection: sqlite3.Connection, ids: Sequence[str]) -> list[int]:
    """Return the rows of all passages of the documents given."""
    rows: list[int] = []
    for id_ in dict.fromkeys(ids):
        rows += (row for (row,) in connection.execute("SELECT row FROM records WHERE id = ?", (id_,)))
    return rows


def rows_between(connection: sqlite3.Connection, first: str, last: str) -> list[tuple[int, str]]:
    """Return the rows, and the ids, of documents whose ids are from `first` on and before `last`."""
    return connection.execute("SELECT row, id FROM records WHERE id >= ? AND id < ?", (first, last)).fetchall()


def rows_where(connection: sqlite3.Connection, where: Sequence[Condition]) -> np.ndarray:
    """Return the rows (M,) whose metadata meet every condition.

    Raises:
        ValueError: a field that no record has, or metadata that are no JSON.
    """

    def meets(number: int, kind: str | None, value: object) -> bool:
        return where[number].meets(
            json.loads(str(value)) if kind in ("array", "object") else _BOOLEANS.get(kind, value)
        )

    connection.create_function("meets", 3, meets)
    clause = "meets(?, json_type(metadata, ?), json_extract(metadata, ?))"
    parameters = [part for number, condition in enumerate(where) for part in (number, condition.path, condition.path)]
    query = f"SELECT row FROM records WHERE {' AND '.join([clause] * len(where))}"
    try:
        rows = connection.execute(query, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if "malformed JSON" not in str(error):  # such as NaN, which an earlier version wrote as it came
            raise
        raise ValueError(f"the metadata of a record cannot be read ({error}); index the documents again") from None
    if not rows:
        _refuse_unknown_fields(connection, where)
    return numbers(rows)


def numbers(rows: list[tuple[Any, ...]]) -> np.ndarray:
    """Return a column of row numbers (N,).

    Raises:
        sqlite3.DatabaseError: one is none.
    """
    try:
        return np.array(rows, np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise sqlite3.DatabaseError("a record has lost its number") from None


def records_at(connection: sqlite3.Connection, rows: Sequence[int]) -> list[Record]:
    """Return the records of rows, in that order."""
    query = "SELECT id, text, metadata, passage FROM records WHERE row = ?"
    tuples = [connection.execute(query, (int(row),)).fetchone() for row in rows]
    return [_record(*(row or [None] * 4)) for row in tuples]  # no row: that of a damaged index


def read_after(connection: sqlite3.Connection, last: int, size: int) -> tuple[list[int], list[Record]]:
    """Return at most `size` rows that come after the row `last`, with their records."""
    query = "SELECT row, id, text, metadata, passage FROM records WHERE row > ? ORDER BY row LIMIT ?"
    rows = connection.execute(query, (last, size)).fetchall()
    return [row for row, *_ in rows], [_record(*rest) for _, *rest in rows]


def _record(id_: object, text: object, metadata: object, passage: object) -> Record:
    """Return a row of the table.

    Raises:
        sqlite3.DatabaseError: it is none that was written.
    """
    value = json.loads(metadata) if isinstance(metadata, str) else None
    if not (isinstance(id_, str) and isinstance(text, str) and isinstance(value, dict) and isinstance(passage, int)):
        raise sqlite3.DatabaseError(f"the record {id_!r:.60} has lost a part")
    return Record(id_, text, value, passage)


def _refuse_unknown_fields(connection: sqlite3.Connection, where: Sequence[Condition]) -> None:
    for condition in where:
        query = "SELECT 1 FROM records WHERE json_type(metadata, ?) IS NOT NULL LIMIT 1"
        if connection.execute(query, (condition.path,)).fetchone() is None:
            some = "SELECT DISTINCT key FROM (SELECT metadata FROM records LIMIT 1000), json_each(metadata)"
            names = ", ".join(sorted(name for (name,) in connection.execute(some)))
            fields = f"expected one of {names}" if names else "nor any other"
            raise ValueError(f"field {condition.field!r}: no record has it, {fields}")
