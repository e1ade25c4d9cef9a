"""The SQLite database of an index: one connection for all threads of a process, its transactions, values as JSON."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_embeddings.files.reading import parse_json


class Database:
    """An open database; one process writes at a time, any number read."""

    def __init__(self, path: Path) -> None:
        """Open a database that is there."""
        self.path = path
        self.connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self.lock = threading.RLock()
        self._own_writes = 0

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def get(self, key: str) -> Any:  # noqa: ANN401  what JSON holds
        """Return the value that `put` was given; None where it was given none."""
        with self.lock, self.intact():
            row = self.connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return None if row is None else parse_json(row[0], f"{self.path}: the setting {key}")

    def count(self, key: str) -> int:
        """Return a value that is a number of something.

        Raises:
            ValueError: it is none.
        """
        value = self.get(key)
        if type(value) is not int or value < 0:
            raise ValueError(f"{self.path}: {key} is {value!r:.60}, expected a number; build the index again")
        return value

    @contextmanager
    def intact(self) -> Iterator[None]:
        """Say in one line what is damaged.

        Raises:
            ValueError: SQLite does not read it, or its rows are not those of the vectors.
        """
        try:
            yield
        except (sqlite3.DatabaseError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{self.path}: damaged ({reason}); restore it, or build the index again") from None

    def put(self, **values: object) -> None:
        """Keep values under their names, as JSON, within `writing`."""
        rows = [(key, json.dumps(value)) for key, value in values.items()]
        self.connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)

    def version(self) -> tuple[int, int]:
        """Return what changes with each commit, of this process and of others."""
        others_writes = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return others_writes, self._own_writes

    @contextmanager
    def reading(self) -> Iterator[bool]:
        """One state for all that is read inside, whatever others write meanwhile; False where an outer block has it."""
        with self.lock:
            if self.connection.in_transaction:
                yield False
                return
            with self.intact():
                self.connection.execute("BEGIN")
                try:
                    yield True
                finally:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, alone among processes and threads; whatever goes wrong inside undoes it."""
        with self.lock:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:  # a full disk may have ended it already
                    self.connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise OSError(f"{self.path.parent}: cannot be written ({error}); it is as it was before") from None
                raise
            self._own_writes += 1
