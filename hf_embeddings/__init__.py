"""TriEmbed, an encoder family whose input is token + position + segment, for Hugging Face transformers.

Importing this package registers TriEmbed with transformers' Auto classes, so that `AutoModel.from_pretrained` loads its
checkpoints without `trust_remote_code`. It is quick: torch and transformers are imported when a name here is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hf_embeddings.registration import register_when_imported

if TYPE_CHECKING:
    from hf_embeddings.model.configuration_triembed import TriEmbedConfig
    from hf_embeddings.model.embeddings import EmbeddingParts
    from hf_embeddings.model.modeling_triembed import (
        TriEmbedForMaskedLM,
        TriEmbedForMultipleChoice,
        TriEmbedForNextSentencePrediction,
        TriEmbedForPreTraining,
        TriEmbedForPreTrainingOutput,
        TriEmbedForQuestionAnswering,
        TriEmbedForSequenceClassification,
        TriEmbedForTokenClassification,
        TriEmbedModel,
        TriEmbedPreTrainedModel,
    )
    from hf_embeddings.model.multi_task import MultiTaskOutput, TriEmbedForMultiTask
    from hf_embeddings.model.position_signal import PositionSignal, PositionType
    from hf_embeddings.model.positions import POSITION_TYPES, Positions, register_position_type

__version__ = "0.1.0"

__all__ = [
    "POSITION_TYPES",
    "EmbeddingParts",
    "MultiTaskOutput",
    "PositionSignal",
    "PositionType",
    "Positions",
    "TriEmbedConfig",
    "TriEmbedForMaskedLM",
    "TriEmbedForMultiTask",
    "TriEmbedForMultipleChoice",
    "TriEmbedForNextSentencePrediction",
    "TriEmbedForPreTraining",
    "TriEmbedForPreTrainingOutput",
    "TriEmbedForQuestionAnswering",
    "TriEmbedForSequenceClassification",
    "TriEmbedForTokenClassification",
    "TriEmbedModel",
    "TriEmbedPreTrainedModel",
    "register_position_type",
]

_MODULES = {  # of the names above; all others are in the last one
    "TriEmbedConfig": "configuration_triembed",
    "EmbeddingParts": "embeddings",
    "MultiTaskOutput": "multi_task",
    "TriEmbedForMultiTask": "multi_task",
    "PositionSignal": "position_signal",
    "PositionType": "position_signal",
    "POSITION_TYPES": "positions",
    "Positions": "positions",
    "register_position_type": "positions",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # First, for another thread may be importing it, which then waits for the model: Python's import locks in one order.
    import_module("transformers")
    value = getattr(import_module(f"{__name__}.model.{_MODULES.get(name, 'modeling_triembed')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_imported()
