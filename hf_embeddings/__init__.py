"""TriEmbed, an encoder family whose input is token + position + segment, for Hugging Face transformers.

Importing this package registers TriEmbed with transformers' Auto classes, so that `AutoModel.from_pretrained` loads its
checkpoints without `trust_remote_code`.
"""

import transformers

from hf_embeddings.model import modeling_triembed
from hf_embeddings.model.configuration_triembed import AUTO_MAP, TriEmbedConfig
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


def _register() -> None:
    for auto_class, path in AUTO_MAP.items():
        if auto_class == "AutoConfig":
            transformers.AutoConfig.register(TriEmbedConfig.model_type, TriEmbedConfig, exist_ok=True)
        else:
            model_class = getattr(modeling_triembed, path.split(".")[1])
            getattr(transformers, auto_class).register(TriEmbedConfig, model_class, exist_ok=True)


_register()
