"""Qdrant, through its own client: a server, or its embedded mode in a folder."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_embeddings.extras import cure
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.results import Hit

if TYPE_CHECKING:
    from qdrant_client.models import Filter

_RANGES = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_NAMESPACE = uuid.UUID("6f0f0b62-3c0e-5c0a-9a39-6f5d0b1f7a11")  # so that a passage has the same point at each copying


class QdrantStore:
    """One collection of Qdrant: a `Store`."""

    def __init__(self, location: str, collection: str) -> None:
        try:
            from qdrant_client import QdrantClient
        except ImportError:
            raise ValueError(f"qdrant_client: not installed; {cure('qdrant')}") from None
        remote = location.startswith(("http://", "https://"))
        self.client = QdrantClient(url=location) if remote else QdrantClient(path=location)
        self.collection = collection
        self.settings: dict[str, Any] = {}
        if self.client.collection_exists(collection):
            self.settings = self.client.get_collection(collection).config.metadata or {}

    def create(self, dimension: int, settings: dict[str, Any]) -> None:
        """Make the collection with the dot product as its measure."""
        from qdrant_client.models import Distance, VectorParams

        if not self.client.collection_exists(self.collection):
            vectors = VectorParams(size=dimension, distance=Distance.DOT)
            self.client.create_collection(self.collection, vectors_config=vectors, metadata=settings)
        self.settings = settings

    def put(self, records: Sequence[Record], vectors: np.ndarray) -> None:
        """Write records with their vectors (N, D)."""
        from qdrant_client.models import PointStruct

        points = [
            PointStruct(
                id=str(uuid.uuid5(_NAMESPACE, f"{record.id}\n{record.passage}")),
                vector=vector.tolist(),
                payload=vars(record),
            )
            for record, vector in zip(records, vectors, strict=True)
        ]
        self.client.upsert(self.collection, points, wait=True)

    def nearest(self, query: np.ndarray, passages: int, where: Sequence[Condition]) -> list[Hit]:
        """Return the passages nearest to a query (D,)."""
        found = self.client.query_points(
            self.collection, query=query.tolist(), limit=passages, query_filter=_filter(where), with_payload=True
        )
        return [
            Hit(payload["id"], point.score, payload["text"], payload["metadata"], payload["passage"])
            for point in found.points
            if (payload := point.payload) is not None
        ]

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()


def _filter(where: Sequence[Condition]) -> "Filter | None":
    from qdrant_client.models import (
        FieldCondition,
        Filter,
        IsEmptyCondition,
        MatchText,
        MatchValue,
        PayloadField,
        Range,
    )

    must: list[Any] = []
    must_not: list[Any] = []
    for condition in where:
        key = f"metadata.{condition.field}"
        if condition.operator in _RANGES:
            if isinstance(condition.value, str):
                raise ValueError(f"condition on {condition.field!r}: Qdrant orders numbers only; use = or ~ for text")
            must.append(FieldCondition(key=key, range=Range(**{_RANGES[condition.operator]: condition.value})))
        elif condition.operator == "~":
            must.append(FieldCondition(key=key, match=MatchText(text=str(condition.value))))
        elif isinstance(condition.value, float):
            equal = FieldCondition(key=key, range=Range(gte=condition.value, lte=condition.value))
            (must if condition.operator == "=" else must_not).append(equal)
        else:
            equal = FieldCondition(key=key, match=MatchValue(value=condition.value))
            (must if condition.operator == "=" else must_not).append(equal)
        if condition.operator == "!=":
            must_not.append(IsEmptyCondition(is_empty=PayloadField(key=key)))
    return Filter(must=must, must_not=must_not) if where else None
