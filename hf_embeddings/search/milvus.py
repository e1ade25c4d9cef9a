"""Milvus, through its own client: a server, or its embedded mode in a file ending in .db."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_embeddings.pip_extras import cure
from hf_embeddings.search.records import Record
from hf_embeddings.search.results import Hit
from hf_embeddings.search.settings import StoreSettings
from hf_embeddings.search.terms import terms_of

if TYPE_CHECKING:
    from pymilvus import CollectionSchema

_LONGEST_TEXT = 65535  # bytes of a VARCHAR


class MilvusStore:
    """One collection of Milvus: a `Store`."""

    most_results: int | None = 16384

    def __init__(self, location: str, collection: str) -> None:
        try:
            from pymilvus import MilvusClient
        except ImportError:
            raise ValueError(f"pymilvus: not installed; {cure('milvus')}") from None
        if not location.startswith(("http://", "https://")) and not location.endswith(".db"):
            raise ValueError(f"{location!r}: expected the URL of a Milvus server, or a file ending in .db")
        self.client = MilvusClient(location)
        self.collection, self._facts = collection, f"{collection}_settings"  # the embedded mode keeps no descriptions
        for name in (self._facts, self.collection):
            if self.client.has_collection(name):
                self.client.load_collection(name)  # one that another process made is not loaded

    @property
    def settings(self) -> StoreSettings | None:
        """What was kept with the collection, if anything."""
        if not self.client.has_collection(self._facts):
            return None
        rows = self.client.get(self._facts, ids=["settings"], output_fields=["value"])
        return StoreSettings.read(rows[0]["value"]) if rows else None

    def exists(self) -> bool:
        """Tell whether the collection is there."""
        return self.client.has_collection(self.collection)

    def create(self, dimension: int, settings: StoreSettings) -> None:
        """Make the collection with the inner product as its measure."""
        from pymilvus import DataType

        schema = self.client.create_schema()
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field("id", DataType.VARCHAR, max_length=_LONGEST_TEXT)
        schema.add_field("text", DataType.VARCHAR, max_length=_LONGEST_TEXT)
        schema.add_field("metadata", DataType.JSON)
        schema.add_field("passage", DataType.INT64)
        schema.add_field("terms", DataType.JSON)
        schema.add_field("copy", DataType.VARCHAR, max_length=64)
        self.keep(settings)  # first, so that no collection is without
        self._make(self.collection, schema)

    def keep(self, settings: StoreSettings) -> None:
        """Replace the settings, which stand in a collection of their own."""
        from pymilvus import DataType

        if not self.client.has_collection(self._facts):
            schema = self.client.create_schema()
            schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # no collection may be without one
            schema.add_field("value", DataType.JSON)
            self._make(self._facts, schema)
        self.client.upsert(self._facts, [{"key": "settings", "vector": [0.0, 0.0], "value": settings.to_dict()}])

    def _make(self, collection: str, schema: "CollectionSchema") -> None:
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self.client.create_collection(collection, schema=schema, index_params=index, consistency_level="Strong")

    def put(self, records: Sequence[Record], vectors: np.ndarray, copy: str) -> None:
        """Write records with their vectors (N, D)."""
        rows = [
            {"key": hashlib.sha256(f"{record.id}\n{record.passage}".encode()).hexdigest(), "vector": vector.tolist()}
            | vars(record)
            | {"terms": terms_of(record.metadata), "copy": copy}
            for record, vector in zip(records, vectors, strict=True)
        ]
        self.client.upsert(self.collection, rows)

    def drop_others(self, copy: str) -> None:
        """Remove what another copying wrote."""
        self.client.delete(self.collection, filter=f'copy != "{copy}"')

    def nearest(self, query: np.ndarray, passages: int, terms: Sequence[Sequence[str]]) -> list[Hit]:
        """Return the passages nearest to a query (D,) that have one term of each group."""
        (rows,) = self.client.search(
            self.collection,
            [query.tolist()],
            filter=" and ".join(f"json_contains_any(terms, {json.dumps(list(group))})" for group in terms),
            limit=passages,
            output_fields=["id", "text", "metadata", "passage"],
        )
        return [
            Hit(entity["id"], row["distance"], entity["text"], entity["metadata"], entity["passage"])
            for row in rows
            for entity in (row["entity"],)
        ]

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()
