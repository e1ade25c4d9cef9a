"""Vector databases for what outgrows one machine: an index is copied into one, and searched there the same way.

A place is written `qdrant:LOCATION#COLLECTION` or `milvus:LOCATION#COLLECTION`; a location is the URL of a server, or a
folder (Qdrant) or file ending in .db (Milvus) for their embedded modes.

A database narrows by `terms` of the metadata, and `Condition.meets` decides: so a condition means the same everywhere.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hf_embeddings.search.milvus import MilvusStore
from hf_embeddings.search.qdrant import QdrantStore
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.results import Hit
from hf_embeddings.search.settings import NO_COPY, StoreSettings
from hf_embeddings.search.terms import has_term, narrowing

if TYPE_CHECKING:  # it imports torch, which a search in a database does not need
    from hf_embeddings.search.index import Index

ROWS_PER_REQUEST = 256
_OWNER = ("model", "recipe", "precision", "identity")  # what must be the same to copy there again


class Store(Protocol):
    """What a database is asked for."""

    most_results: int | None  # that it returns for a query; None for any number

    @property
    def settings(self) -> StoreSettings | None:
        """What the index was created with that was copied: model, recipe and the rest; None where none was."""

    def exists(self) -> bool:
        """Tell whether the collection is there."""

    def create(self, dimension: int, settings: StoreSettings) -> None:
        """Make the collection with its settings: both are there, or neither."""

    def keep(self, settings: StoreSettings) -> None:
        """Replace the settings."""

    def put(self, records: Sequence[Record], vectors: np.ndarray, copy: str) -> None:
        """Write records with their vectors (N, D), and the name of the copying; those written before are replaced."""

    def drop_others(self, copy: str) -> None:
        """Remove what another copying wrote."""

    def nearest(self, query: np.ndarray, passages: int, terms: Sequence[Sequence[str]]) -> list[Hit]:
        """Return the passages nearest to a query (D,), best first, that have one term of each group."""

    def close(self) -> None:
        """Let go of the connection."""


STORES: dict[str, Callable[[str, str], Store]] = {"qdrant": QdrantStore, "milvus": MilvusStore}


def is_store(place: str) -> bool:
    """Tell whether a place is a database rather than a folder."""
    return place.split(":", 1)[0] in STORES and ":" in place


def open_store(place: str) -> Store:
    """Open a place such as qdrant:http://localhost:6333#docs.

    Raises:
        ValueError: no collection is named, the library of the database is missing, or the database does not answer.
    """
    kind, _, rest = place.partition(":")
    location, _, collection = rest.rpartition("#")
    if not location or not collection:
        raise ValueError(f"{place!r}: expected {kind}:LOCATION#COLLECTION, such as {kind}:./database#docs")
    with _in_words(place):
        return STORES[kind](location, collection)


def copy_index(index: "Index", store: Store, progress: Callable[[float], None] = lambda done: None) -> int:
    """Make a store hold the records of an index and no others, and return how many; after an interruption, repeat it.

    Raises:
        ValueError: the collection holds something else: another index, another model, the copy of an earlier version.
    """
    settings = StoreSettings(**vars(index.settings), identity=index.identity(), complete=False)
    with _in_words("the database"):
        if not store.exists():
            store.create(index.dimension, settings)
        else:
            _refuse_other_content(store.settings, settings, index.folder)
        copy, count = uuid.uuid4().hex, 0
        for records, vectors in index.iterate(ROWS_PER_REQUEST):
            store.put(records, vectors, copy)
            count += len(records)
            progress(len(records))
        store.drop_others(copy)
        store.keep(replace(settings, complete=True))
    return count


def _refuse_other_content(there: StoreSettings | None, settings: StoreSettings, folder: object) -> None:
    if there is None:
        content = "something else, or the copy of an earlier version"
    elif differing := [name for name in _OWNER if getattr(there, name) != getattr(settings, name)]:
        name = differing[0]
        content = "the copy of another index" if name == "identity" else f"vectors of {name} {getattr(there, name)!r}"
    else:
        return
    raise ValueError(f"the collection holds {content}, got {folder}; name another collection, or remove that one")


def search_store(store: Store, queries: np.ndarray, k: int, where: Sequence[Condition] = ()) -> list[list[Hit]]:
    """Return for each query (Q, D) the k documents whose best passages are nearest, as the store finds them.

    Raises:
        ValueError: nothing was copied there, or not to the end; or a condition on a field that no record has.
    """
    settings = store.settings
    if settings is None or not settings.complete:
        raise ValueError(NO_COPY)
    with _in_words("the database"):
        results = [_best_documents(store, query, k, where) for query in np.atleast_2d(queries)]
        if where and not any(results):
            _refuse_unknown_fields(store, np.atleast_2d(queries)[0], where)
    return results


def _best_documents(store: Store, query: np.ndarray, k: int, where: Sequence[Condition]) -> list[Hit]:
    """Take more passages until k documents are among them or none is left."""
    terms, count = [narrowing(condition) for condition in where], k if not where else 2 * k
    while True:
        limit = min(count, store.most_results or count)
        passages = store.nearest(query, limit, terms)
        documents: dict[str, Hit] = {}
        for hit in passages:
            if all(condition.holds(hit.metadata) for condition in where):
                documents.setdefault(hit.id, hit)
        if len(documents) >= k or len(passages) < limit:
            return list(documents.values())[:k]
        if limit < count:
            raise ValueError(
                f"the database returns at most {limit:,} passages, and only {len(documents)} of the {k} documents "
                "asked for were among them; ask for fewer with -k, or search the index on disk"
            )
        count *= 4


def _refuse_unknown_fields(store: Store, query: np.ndarray, where: Sequence[Condition]) -> None:
    for condition in where:
        if not store.nearest(query, 1, [[has_term(condition.field)]]):
            some = store.nearest(query, 100, [])
            names = ", ".join(sorted({name for hit in some for name in hit.metadata}))
            expected = f"expected one of {names}" if names else "nor any other"
            raise ValueError(f"field {condition.field!r}: no record has it, {expected}")


@contextmanager
def _in_words(place: str) -> Iterator[None]:
    """Say in one line what the library of a database raises, of which there are many kinds."""
    try:
        yield
    except (ValueError, OSError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{place}: {words}; check that it runs, and that no other process has it open") from error
