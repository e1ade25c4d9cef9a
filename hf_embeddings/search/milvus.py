"""Milvus, through its own client: a server, or its embedded mode in a file ending in .db."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_embeddings.extras import cure
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.results import Hit

if TYPE_CHECKING:
    from pymilvus import CollectionSchema

_LONGEST_TEXT = 65535  # bytes of a VARCHAR
_MOST_RESULTS = 16384  # that Milvus returns


class MilvusStore:
    """One collection of Milvus: a `Store`."""

    def __init__(self, location: str, collection: str) -> None:
        try:
            from pymilvus import MilvusClient
        except ImportError:
            raise ValueError(f"pymilvus: not installed; {cure('milvus')}") from None
        if not location.startswith(("http://", "https://")) and not location.endswith(".db"):
            raise ValueError(f"{location!r}: expected the URL of a Milvus server, or a file ending in .db")
        self.client = MilvusClient(location)
        self.collection, self._facts = collection, f"{collection}_settings"  # the embedded mode keeps no descriptions
        self.settings: dict[str, Any] = {}
        if self.client.has_collection(self._facts):
            (row,) = self.client.get(self._facts, ids=["settings"], output_fields=["value"])
            self.settings = row["value"]

    def create(self, dimension: int, settings: dict[str, Any]) -> None:
        """Make the collection with the inner product as its measure."""
        from pymilvus import DataType

        if not self.client.has_collection(self._facts):
            schema = self.client.create_schema()
            schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # no collection may be without one
            schema.add_field("value", DataType.JSON)
            self._make(self._facts, schema)
            self.client.upsert(self._facts, [{"key": "settings", "vector": [0.0, 0.0], "value": settings}])
        if not self.client.has_collection(self.collection):
            schema = self.client.create_schema()
            schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            schema.add_field("id", DataType.VARCHAR, max_length=_LONGEST_TEXT)
            schema.add_field("text", DataType.VARCHAR, max_length=_LONGEST_TEXT)
            schema.add_field("metadata", DataType.JSON)
            schema.add_field("passage", DataType.INT64)
            self._make(self.collection, schema)
        self.settings = settings

    def _make(self, collection: str, schema: "CollectionSchema") -> None:
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self.client.create_collection(collection, schema=schema, index_params=index)

    def put(self, records: Sequence[Record], vectors: np.ndarray) -> None:
        """Write records with their vectors (N, D)."""
        rows = [
            {"key": hashlib.sha256(f"{record.id}\n{record.passage}".encode()).hexdigest(), "vector": vector.tolist()}
            | vars(record)
            for record, vector in zip(records, vectors, strict=True)
        ]
        self.client.upsert(self.collection, rows)

    def nearest(self, query: np.ndarray, passages: int, where: Sequence[Condition]) -> list[Hit]:
        """Return the passages nearest to a query (D,)."""
        fields = ["id", "text", "metadata", "passage"]
        (found,) = self.client.search(
            self.collection,
            [query.tolist()],
            filter=" and ".join(_expression(condition) for condition in where),
            limit=min(passages, _MOST_RESULTS),
            output_fields=fields,
        )
        return [
            Hit(entity["id"], row["distance"], entity["text"], entity["metadata"], entity["passage"])
            for row in found
            for entity in (row["entity"],)
        ]

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()


def _expression(condition: Condition) -> str:
    name = f"metadata[{json.dumps(condition.field)}]"
    if condition.operator == "~":
        return f"{name} like {json.dumps('%' + str(condition.value) + '%', ensure_ascii=False)}"
    operator = {"=": "=="}.get(condition.operator, condition.operator)
    return f"{name} {operator} {json.dumps(condition.value, ensure_ascii=False)}"
