"""What an index answers without being changed: its records, its vectors, and searches in them.

Shapes: N rows, D features, Q queries, K results.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from hf_embeddings.search import records as table
from hf_embeddings.search import scan
from hf_embeddings.search.database import Database
from hf_embeddings.search.flat_files import FlatFiles, digest_rows
from hf_embeddings.search.records import Condition, Record, numbers
from hf_embeddings.search.results import Hit
from hf_embeddings.search.settings import IndexSettings

FORMAT = 2

# Of a query (D,) the rows and scores of the k best among the allowed (N,) ones; all are where that is None.
Nearest = Callable[[np.ndarray, int, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


class IndexReader:
    """An index on disk, open for reading, while at most one other process writes to it."""

    def __init__(self, folder: str | Path) -> None:
        """Open an existing index.

        Raises:
            ValueError: the folder holds no index, or one of another format.
        """
        self.folder = Path(folder)
        path = table.find_records(folder)
        self.database = Database(path)
        self._connection = self.database.connection
        self._version: tuple[int, int] | None = None
        with self.database.intact():
            self._connection.execute("PRAGMA synchronous = FULL")
        self.refresh()

    def __len__(self) -> int:
        with self.database.lock, self.database.intact():
            return self._connection.execute("SELECT count(*) FROM records").fetchone()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the maps go with the object."""
        self.database.close()

    def get(self, key: str) -> Any:  # noqa: ANN401  what JSON holds
        """Return a setting: `format`, `dimension`, `generation`, `rows`, `settings`, or what `add` was told to keep."""
        return self.database.get(key)

    @property
    def settings(self) -> IndexSettings:
        """What the index was created with: model, recipe and the rest.

        Raises:
            ValueError: it was created without.
        """
        return IndexSettings.from_dict(self.get("settings"))

    def search(
        self, queries: np.ndarray, k: int = 10, where: Sequence[Condition] = (), *, nearest: Nearest | None = None
    ) -> list[list[Hit]]:
        """Return for each query (Q, D) the k documents whose best passages score highest.

        Exactly, unless another way to the `nearest` rows is given, such as that of `approximate.py`.

        Raises:
            ValueError: queries of another width, k below 1, or a condition on a field that no record has.
        """
        if k < 1:
            raise ValueError(f"k {k}: expected 1 or more")
        queries = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        with self.reading():
            if queries.shape[1] != self.dimension:
                raise ValueError(f"queries of {queries.shape[1]} features: expected {self.dimension}, as in the index")
            if not np.isfinite(queries).all():
                raise ValueError("a query is not finite; check the model and its input")
            is_allowed = self._allowed(where)
            return [self._best_documents(query, k, is_allowed, nearest or self.nearest) for query in queries]

    def nearest(self, query: np.ndarray, k: int, is_allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (K,) with the highest scores, and the scores: see `Nearest`."""
        with np.errstate(invalid="ignore", over="ignore"):  # of vectors that are no numbers: told below
            rows, scores = scan.search_exactly(query[None], self.maps["vectors"], self.codes, k, is_allowed)[0]
        if not np.isfinite(scores).all():
            raise ValueError(f"{self.folder}: a vector is damaged, it holds no numbers; build the index again")
        return rows, scores

    def vectors_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the stored vectors (M, D) of rows."""
        return np.asarray(self.maps["vectors"][np.asarray(rows, np.int64)])

    def iterate(self, size: int = 1024) -> Iterator[tuple[list[Record], np.ndarray]]:
        """Yield all records with their vectors, `size` at a time; each time as they are then.

        Raises:
            ValueError: the index was compacted meanwhile, so that rows have moved.
        """
        generation, last = None, -1
        while True:
            with self.reading():
                generation = generation or self.generation
                if generation != self.generation:
                    raise ValueError(f"{self.folder}: was compacted while it was read; rerun the command")
                rows, records = table.read_after(self._connection, last, size)
                vectors = self.vectors_of(rows)
            if not rows:
                return
            last = rows[-1]
            yield records, vectors

    def sample(self, size: int) -> tuple[list[Record], np.ndarray]:
        """Return at most `size` records spread evenly over the index, with their vectors (M, D)."""
        with self.reading():
            rows = np.flatnonzero(self._present)
            rows = rows[np.linspace(0, len(rows) - 1, min(size, len(rows))).astype(np.int64)] if len(rows) else rows
            return table.records_at(self._connection, rows.tolist()), self.vectors_of(rows)

    def verify(self) -> None:
        """Read everything and compare it with the checksums.

        Raises:
            ValueError: naming the rows that are damaged.
        """
        if damage := self.damage():
            raise ValueError(damage)

    def damage(self) -> str:
        """Read everything, compare it with the checksums, and return what is damaged first; nothing where all is well.

        Raises:
            ValueError: the database cannot be read at all.
        """
        with self.reading():
            damage = self._connection.execute("PRAGMA integrity_check").fetchone()[0]
            if damage != "ok":
                return f"{self.folder / table.DATABASE}: {' '.join(damage.split())}; build it again"
            for first, rows, checksum in self._connection.execute("SELECT first, rows, sha256 FROM blocks"):
                block = slice(first, first + rows)
                if digest_rows(self.maps, block) != checksum:
                    return f"{self.folder}: rows {first} to {first + rows - 1} are damaged; build it again"
        return ""

    def _best_documents(self, query: np.ndarray, k: int, is_allowed: np.ndarray | None, nearest: Nearest) -> list[Hit]:
        """Take more passages until k documents are among them or none is left."""
        count = k
        while True:
            rows, scores = nearest(query, count, is_allowed)
            hits: dict[str, Hit] = {}
            passages = zip(
                table.records_at(self._connection, rows.tolist()), scores.tolist(), rows.tolist(), strict=True
            )
            for record, score, row in passages:
                hit = Hit(record.id, score, record.text, record.metadata, record.passage, row)
                hits.setdefault(record.id, hit)
            if len(hits) >= k or len(rows) < count:
                return list(hits.values())[:k]
            count *= 4

    def _allowed(self, where: Sequence[Condition]) -> np.ndarray | None:
        """Return a mask (N,) of the rows that are there and meet the conditions; None where that is each."""
        if where:
            is_allowed = np.zeros(self.rows, bool)
            rows = table.rows_where(self._connection, where)
            is_allowed[rows[rows < self.rows]] = True
            return is_allowed
        return None if self._present.all() else self._present

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the index for all that is read inside, whatever others write meanwhile."""
        with self.database.reading() as begins:
            if begins:
                self._map()
            yield

    def refresh(self) -> None:
        """Map the rows that are committed now; nothing to do unless someone has written."""
        with self.reading():
            pass

    def _map(self) -> None:
        version = self.database.version()
        if version == self._version:
            return
        if self.get("format") != FORMAT:
            raise ValueError(f"{self.folder}: index format {self.get('format')}, expected {FORMAT}; build it again")
        self.dimension, self.rows, self.generation = map(self.database.count, ("dimension", "rows", "generation"))
        self.maps = self._files(self.generation).map(self.rows)
        self.codes = scan.Codes(self.maps["codes"], self.maps["scales"])
        gaps = numbers(self._connection.execute("SELECT row FROM removed").fetchall())
        self._present = np.ones(self.rows, bool)
        self._present[gaps] = False
        self._version = version

    def _files(self, generation: int) -> FlatFiles:
        return FlatFiles(self.folder, generation, self.database.count("dimension"))
