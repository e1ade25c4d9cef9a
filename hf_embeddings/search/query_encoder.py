"""The encoder for queries: that of an index or store, as long as its weights are what they were."""

import hashlib
from pathlib import Path
from typing import Any, Protocol

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.precision import AUTO


class Built(Protocol):
    """An index or a store: something that knows the model it was made with."""

    @property
    def settings(self) -> dict[str, Any]:
        """Model, recipe and the rest."""


def load_encoder(built: Built, *, precision: str = AUTO) -> Encoder:
    """Load the encoder that an index or store was made with, for queries.

    Raises:
        ValueError: the model is gone, or its weights are no longer those that the vectors are of.
    """
    facts = built.settings
    if not facts:
        raise ValueError("no index was copied there: expected a collection made by `index INDEX STORE`")
    model = str(facts["model"])
    if Path(model).is_absolute() and not Path(model).is_dir():
        raise ValueError(f"{model}: the model of this index is gone; put it back, or build the index again")
    if weights_digest(model) != facts["weights_sha256"]:
        raise ValueError(f"{model}: its weights changed since the index was built; build the index again")
    return Encoder.load(model, precision=precision, **facts["recipe"])


def weights_digest(model: str) -> str | None:
    """Return one sha256 over the weight files of a model directory; None for an id of the Hub."""
    files = sorted(Path(model).glob("*.safetensors"))
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest() if files else None
