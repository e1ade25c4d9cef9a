"""Qdrant, through its own client: a server, or its embedded mode in a folder."""

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_embeddings.pip_extras import cure
from hf_embeddings.search.records import Record
from hf_embeddings.search.results import Hit
from hf_embeddings.search.settings import StoreSettings
from hf_embeddings.search.terms import terms_of

_NAMESPACE = uuid.UUID("6f0f0b62-3c0e-5c0a-9a39-6f5d0b1f7a11")  # so that a passage has the same point at each copying


class QdrantStore:
    """One collection of Qdrant: a `Store`."""

    most_results: int | None = None

    def __init__(self, location: str, collection: str) -> None:
        try:
            from qdrant_client import QdrantClient
        except ImportError:
            raise ValueError(f"qdrant_client: not installed; {cure('qdrant')}") from None
        self.remote = location.startswith(("http://", "https://"))
        self.client = QdrantClient(url=location) if self.remote else QdrantClient(path=location)
        self.collection = collection

    @property
    def settings(self) -> StoreSettings | None:
        """What was kept with the collection, if anything."""
        if not self.exists():
            return None
        return StoreSettings.read(self.client.get_collection(self.collection).config.metadata or {})

    def exists(self) -> bool:
        """Tell whether the collection is there."""
        return self.client.collection_exists(self.collection)

    def create(self, dimension: int, settings: StoreSettings) -> None:
        """Make the collection with the dot product as its measure."""
        from qdrant_client.models import Distance, PayloadSchemaType, VectorParams

        vectors = VectorParams(size=dimension, distance=Distance.DOT)
        self.client.create_collection(self.collection, vectors_config=vectors, metadata=settings.to_dict())
        if self.remote:  # the embedded mode has no indexes of fields, and says so
            for name in ("terms", "copy"):
                self.client.create_payload_index(self.collection, name, PayloadSchemaType.KEYWORD)

    def keep(self, settings: StoreSettings) -> None:
        """Replace the settings."""
        self.client.update_collection(self.collection, metadata=settings.to_dict())

    def put(self, records: Sequence[Record], vectors: np.ndarray, copy: str) -> None:
        """Write records with their vectors (N, D)."""
        from qdrant_client.models import PointStruct

        points = [
            PointStruct(
                id=str(uuid.uuid5(_NAMESPACE, f"{record.id}\n{record.passage}")),
                vector=vector.tolist(),
                payload=vars(record) | {"terms": terms_of(record.metadata), "copy": copy},
            )
            for record, vector in zip(records, vectors, strict=True)
        ]
        self.client.upsert(self.collection, points, wait=True)

    def drop_others(self, copy: str) -> None:
        """Remove what another copying wrote."""
        from qdrant_client.models import FieldCondition, Filter, FilterSelector, MatchValue

        others = Filter(must_not=[FieldCondition(key="copy", match=MatchValue(value=copy))])
        self.client.delete(self.collection, FilterSelector(filter=others), wait=True)

    def nearest(self, query: np.ndarray, passages: int, terms: Sequence[Sequence[str]]) -> list[Hit]:
        """Return the passages nearest to a query (D,) that have one term of each group."""
        from qdrant_client.models import FieldCondition, Filter, MatchAny

        must: list[Any] = [FieldCondition(key="terms", match=MatchAny(any=list(group))) for group in terms]
        response = self.client.query_points(
            self.collection,
            query=query.tolist(),
            limit=passages,
            query_filter=Filter(must=must) if must else None,
            with_payload=True,
        )
        return [
            Hit(payload["id"], point.score, payload["text"], payload["metadata"], payload["passage"])
            for point in response.points
            if (payload := point.payload) is not None
        ]

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()
