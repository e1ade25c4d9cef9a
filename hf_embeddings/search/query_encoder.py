"""The encoder for queries: that of an index or store, as long as its model is what it was."""

from pathlib import Path
from typing import Protocol

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.fingerprint import changed_part
from hf_embeddings.search.precision import AUTO
from hf_embeddings.search.settings import NO_COPY, IndexSettings


class Built(Protocol):
    """An index or a store: something that knows the model it was made with."""

    @property
    def settings(self) -> IndexSettings | None:
        """Model, recipe and the rest; None where nothing was copied."""


def load_encoder(place: Built, *, precision: str = AUTO) -> Encoder:
    """Load the encoder that an index or store was made with, for queries.

    Raises:
        ValueError: the model is gone, or its weights, tokenizer or config are no longer those that the vectors are of.
    """
    settings = place.settings
    if settings is None:
        raise ValueError(NO_COPY)
    model = settings.model
    if Path(model).is_absolute() and not Path(model).is_dir():
        raise ValueError(f"{model}: the model of this index is gone; put it back, or build the index again")
    if part := changed_part(model, settings.digests):
        raise ValueError(
            f"{model}: its {part} changed since the index was built; put the old one back, or build the index again"
        )
    return Encoder.load(model, precision=precision, **settings.recipe)
