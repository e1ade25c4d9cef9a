"""What an index was made with, as it stands in its database and in the stores that it was copied into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.search.fingerprint import FINGERPRINTS

NAMED_BY_FILE = "file#digest"  # how documents without an id of their own are named: titles did not tell them apart
NO_COPY = (
    "no complete copy of an index is there, or one of an earlier version; run hf-embeddings index INDEX STORE, or "
    "name another collection"
)
STORE_FORMAT = 2  # of what is written into a database


@dataclass(frozen=True, kw_only=True)
class IndexSettings(JsonRecord):
    """The model whose vectors an index holds; the digests of its files lie flat in the JSON."""

    model: str  # directory or Hub id
    precision: str
    recipe: dict[str, Any]  # fields of `Recipe`: those that the version knew that made the index
    digests: dict[str, str | None] = field(default_factory=dict)  # by FINGERPRINTS: those that it knew
    ids: str | None = absent()  # NAMED_BY_FILE; None: by titles, as an earlier version did

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which `from_dict` reads."""
        values = super().to_dict()
        return values | values.pop("digests")

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values with the digests, which lie flat, in their place."""
        return {**values, "digests": {name: values[name] for name in FINGERPRINTS if name in values}}


@dataclass(frozen=True, kw_only=True)
class StoreSettings(IndexSettings):
    """What a store keeps beside the copy of an index."""

    identity: str  # of the index
    store_format: int = STORE_FORMAT
    complete: bool  # whether the last copying reached its end

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self | None:
        """Read what a store keeps; None where it is nothing, something else, or the copy of an earlier version."""
        return cls.from_dict(values) if values.get("store_format") == STORE_FORMAT else None


@dataclass(frozen=True, kw_only=True)
class UnfinishedBuild(JsonRecord):
    """How far a build has come: what is committed together with its last vectors."""

    source: str  # of the documents
    documents: int  # that are done
    digest: str  # sha256 of those
