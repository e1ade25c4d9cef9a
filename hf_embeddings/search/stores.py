"""Vector databases for what outgrows one machine: an index is copied into one, and searched there the same way.

A place is written `qdrant:LOCATION#COLLECTION` or `milvus:LOCATION#COLLECTION`; a location is the URL of a server, or a
folder (Qdrant) or file ending in .db (Milvus) for their embedded modes.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hf_embeddings.search.milvus import MilvusStore
from hf_embeddings.search.qdrant import QdrantStore
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.results import Hit

if TYPE_CHECKING:  # it imports torch, which a search in a database does not need
    from hf_embeddings.search.index import Index

ROWS_PER_REQUEST = 256


class Store(Protocol):
    """What a database is asked for."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the index was created with that was copied: model, recipe and the rest."""

    def create(self, dimension: int, settings: dict[str, Any]) -> None:
        """Make the collection, unless it is there."""

    def put(self, records: Sequence[Record], vectors: np.ndarray) -> None:
        """Write records with their vectors (N, D); those written before are replaced."""

    def nearest(self, query: np.ndarray, passages: int, where: Sequence[Condition]) -> list[Hit]:
        """Return the passages nearest to a query (D,), best first."""

    def close(self) -> None:
        """Let go of the connection."""


STORES: dict[str, Callable[[str, str], Store]] = {"qdrant": QdrantStore, "milvus": MilvusStore}


def is_store(place: str) -> bool:
    """Tell whether a place is a database rather than a folder."""
    return place.split(":", 1)[0] in STORES and ":" in place


def open_store(place: str) -> Store:
    """Open a place such as qdrant:http://localhost:6333#docs.

    Raises:
        ValueError: no collection is named, or the library of the database is missing.
    """
    kind, _, rest = place.partition(":")
    location, _, collection = rest.rpartition("#")
    if not location or not collection:
        raise ValueError(f"{place!r}: expected {kind}:LOCATION#COLLECTION, such as {kind}:./database#docs")
    return STORES[kind](location, collection)


def copy_index(index: "Index", store: Store, progress: Callable[[float], None] = lambda done: None) -> int:
    """Write all records of an index into a store, and return how many; to repeat it after an interruption is safe."""
    store.create(index.dimension, index.settings)
    copied = 0
    for records, vectors in index.iterate(ROWS_PER_REQUEST):
        store.put(records, vectors)
        copied += len(records)
        progress(len(records))
    return copied


def search_store(store: Store, queries: np.ndarray, k: int, where: Sequence[Condition] = ()) -> list[list[Hit]]:
    """Return for each query (Q, D) the k documents whose best passages are nearest, as the store finds them."""
    found = []
    for query in np.atleast_2d(queries):
        wanted = k
        while True:
            passages = store.nearest(query, wanted, where)
            documents: dict[str, Hit] = {}
            for hit in passages:
                documents.setdefault(hit.id, hit)
            if len(documents) >= k or len(passages) < wanted:
                break
            wanted *= 4
        found.append(list(documents.values())[:k])
    return found
