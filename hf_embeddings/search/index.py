"""The index: a folder with vectors in flat files, mapped into memory, and records in SQLite.

`records.sqlite` holds settings, records, and for each block of rows the sha256 of its bytes in the flat files. These
only grow: an addition appends to them, forces them to disk, and then commits one SQLite transaction with the records
and the new number of rows. So the index is at each instant the one before or the one after, and readers need no lock.

Shapes: N rows, D features.
"""

import uuid
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from hf_embeddings.search import records as table
from hf_embeddings.search.creation import create_database
from hf_embeddings.search.flat_files import FlatFiles
from hf_embeddings.search.index_reader import FORMAT, IndexReader
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.settings import IndexSettings
from hf_embeddings.search.source_records import Scope, is_derived

_COPY_ROWS = 65536


class Index(IndexReader):
    """An index on disk, open for reading and writing; one process writes at a time, any number read."""

    @classmethod
    def create(cls, folder: str | Path, dimension: int, settings: IndexSettings | None = None) -> "Index":
        """Make an empty index for vectors of `dimension` features, of the model that `settings` names, if any.

        Raises:
            ValueError: the folder exists and holds more than the rest of an interrupted creation.
        """
        facts = {"format": FORMAT, "dimension": dimension, "generation": 1, "rows": 0, "identity": uuid.uuid4().hex}
        create_database(Path(folder), facts | {"settings": settings.to_dict() if settings else {}})
        return cls(folder)

    def identity(self) -> str:
        """Return a name that no other index has; one of an earlier version is given it now."""
        if (identity := self.get("identity")) is None:
            with self.database.writing():
                identity = self.get("identity") or uuid.uuid4().hex
                self.database.put(identity=identity)
        return str(identity)

    def add(self, records: Sequence[Record], vectors: np.ndarray, **keep: object) -> int:
        """Add records with their vectors (N, D) at once or, if interrupted, not at all; return how many were replaced.

        Documents that the index already has are replaced. `keep` is stored in the same instant, for `get`.
        """
        dimension = self.database.count("dimension")
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.shape != (len(records), dimension):
            raise ValueError(f"vectors {vectors.shape}: expected {(len(records), dimension)}, a row for each record")
        if not np.isfinite(vectors).all():
            row = int((~np.isfinite(vectors)).any(axis=1).argmax())
            raise ValueError(f"vector of record {records[row].id!r} is not finite; check the model and its input")
        with self.database.writing():
            first = self.database.count("rows")
            old = table.rows_of_documents(self._connection, [record.id for record in records])
            digest = self._files(self.database.count("generation")).append(first, vectors)
            table.remove_rows(self._connection, old)
            table.insert_records(self._connection, first, records)
            if len(records):
                self._connection.execute("INSERT INTO blocks VALUES (?, ?, ?)", (first, len(records), digest))
            self.database.put(rows=first + len(records), **keep)
        return len(old)

    def remove(self, ids: Sequence[str] = (), where: Sequence[Condition] = ()) -> int:
        """Remove the documents given by id, and those whose metadata meet all conditions; return how many rows went.

        Raises:
            ValueError: an id that the index does not have, a field that no record has, or nothing asked for.
        """
        if not ids and not where:
            raise ValueError("nothing to remove: expected ids or conditions")
        with self.database.writing():
            missing = [id_ for id_ in ids if not table.rows_of_documents(self._connection, [id_])]
            if missing:
                raise ValueError(f"id {missing[0]!r}: not in {self.folder}; nothing was removed")
            rows = set(table.rows_of_documents(self._connection, ids))
            if where:
                rows |= set(table.rows_where(self._connection, where).tolist())
            table.remove_rows(self._connection, sorted(rows))
        return len(rows)

    def retain(self, scopes: Sequence[Scope], ids: Container[str], *, remove: bool = True, **keep: object) -> int:
        """Remove the documents whose ids were made of files in these ranges, but for `ids`; return how many rows went.

        Without `remove` they stay, and are counted. `keep` is stored in the same instant, for `get`.
        """
        with self.database.writing():
            rows: list[int] = []
            for first, last in scopes:
                pairs = table.rows_between(self._connection, first, last)
                rows += [row for row, id_ in pairs if is_derived(id_) and id_ not in ids]
            if remove:
                table.remove_rows(self._connection, rows)
            self.database.put(**keep)
        return len(rows)

    def compact(self) -> int:
        """Rewrite the flat files without removed rows, and return how many those were."""
        files: FlatFiles | None = None
        try:
            with self.database.writing():
                self._map()
                removed_count = self._connection.execute("SELECT count(*) FROM removed").fetchone()[0]
                files = self._files(self.generation + 1)
                self._rewrite(files)
        except BaseException:
            if files:
                files.drop()
            raise
        self.refresh()
        files.drop_others()
        return removed_count

    def _rewrite(self, files: FlatFiles) -> None:
        old_rows = np.flatnonzero(self._present)
        self._connection.execute("DELETE FROM blocks")
        for start in range(0, len(old_rows), _COPY_ROWS):
            rows = old_rows[start : start + _COPY_ROWS]
            digest = files.append(start, self.vectors_of(rows))
            self._connection.execute("INSERT INTO blocks VALUES (?, ?, ?)", (start, len(rows), digest))
        # Rows move down only, so in rising order each finds its new place empty.
        moves = ((new, int(old)) for new, old in enumerate(old_rows) if new != old)
        self._connection.executemany("UPDATE records SET row = ? WHERE row = ?", moves)
        self._connection.execute("DELETE FROM removed")
        self.database.put(generation=files.generation, rows=len(old_rows))
