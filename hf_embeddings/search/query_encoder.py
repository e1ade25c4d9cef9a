"""The encoder for queries: that of an index or store, as long as its model is what it was."""

from pathlib import Path
from typing import Any, Protocol

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.fingerprint import changed_part
from hf_embeddings.search.precision import AUTO


class Built(Protocol):
    """An index or a store: something that knows the model it was made with."""

    @property
    def settings(self) -> dict[str, Any]:
        """Model, recipe and the rest."""


def load_encoder(place: Built, *, precision: str = AUTO) -> Encoder:
    """Load the encoder that an index or store was made with, for queries.

    Raises:
        ValueError: the model is gone, or its weights, tokenizer or config are no longer those that the vectors are of.
    """
    facts = place.settings
    if not facts:
        raise ValueError("no index was copied there: expected a collection made by `index INDEX STORE`")
    model = str(facts["model"])
    if Path(model).is_absolute() and not Path(model).is_dir():
        raise ValueError(f"{model}: the model of this index is gone; put it back, or build the index again")
    if changed := changed_part(model, facts):
        raise ValueError(
            f"{model}: its {changed} changed since the index was built; put the old one back, or build the index again"
        )
    return Encoder.load(model, precision=precision, **facts["recipe"])
