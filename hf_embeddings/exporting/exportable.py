"""A model directory as a function of tensors to a tuple of tensors: what is exported, and what it is compared with.

Shapes: B batch, S sequence, N choices.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from hf_embeddings.exporting.graph import Inputs
from hf_embeddings.exporting.sentence_modules import SentenceVectors
from hf_embeddings.loading.auto_classes import open_model
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import one_line_errors, read_config
from hf_embeddings.loading.static_model import StaticConfig
from hf_embeddings.loading.stored_weights import check_finite
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.search.text_model import load_text_model, position_rows, reads_mask

NO_LIMIT = 1 << 30  # tokens
HIDDEN, VECTORS = "last_hidden_state", "sentence_embedding"
AUTO_CLASSES = {  # by the end of the name of a class of transformers
    "ForPreTraining": "AutoModelForPreTraining",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForNextSentencePrediction": "AutoModelForNextSentencePrediction",
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForTokenClassification": "AutoModelForTokenClassification",
    "ForQuestionAnswering": "AutoModelForQuestionAnswering",
    "ForMultipleChoice": "AutoModelForMultipleChoice",
}


@dataclass
class Exportable:
    """What is exported: tensors in by name, tensors out in the order of `outputs`."""

    model: PreTrainedModel
    module: torch.nn.Module
    inputs: list[str]
    outputs: list[str]

    def example(self, batch: int, length: int, *, left: bool = False) -> Inputs:
        """Return random tokens (B, S), or (B, 2, S) for multiple choice, the last row padded on one side."""
        length = min(length, self.longest)
        shape = (batch, 2, length) if getattr(self.model, "takes_choices", False) else (batch, length)
        ids = torch.randint(1, self.model.config.vocab_size, shape, generator=torch.Generator().manual_seed(length))
        mask = torch.ones_like(ids)
        padding = min(2, length - 1)
        mask[-1, ..., slice(0, padding) if left else slice(length - padding, None)] = 0
        return self.select({"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)})

    @property
    def longest(self) -> int:
        """How many tokens the tables of the model have room for."""
        if isinstance(self.model.base_model, TriEmbedModel):
            return self.model.base_model.embeddings.position.length_limit or NO_LIMIT
        limits = [getattr(self.model.config, "max_position_embeddings", None), position_rows(self.model)]
        return min((int(limit) for limit in limits if limit), default=NO_LIMIT)

    def select(self, tensors: Inputs) -> Inputs:
        """Return those that the model takes, in its order."""
        return {name: tensors[name] for name in self.inputs}

    @torch.inference_mode()
    def run(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """Return the outputs by name."""
        return dict(zip(self.outputs, self.module(**inputs), strict=True))


def open_task_model(folder: Path) -> Exportable:
    """Open a directory as the class that was saved; all its outputs are exported.

    Raises:
        ValueError: the class has none of the Auto classes of transformers, or the directory holds a static table.
    """
    config = read_config(folder)  # before memory is taken for it
    if isinstance(config, StaticConfig):
        raise ValueError(f"{folder}: a static table (model2vec), which has no layers; expected an encoder to export")
    with quiet_loading(), one_line_errors(folder):
        model = open_model(folder, _auto_class(folder, config), dtype=torch.float32).eval()
    check_finite(model.named_parameters(), folder)
    _prepare(model)
    exportable = Exportable(model, _Task(model), _inputs(model), [])
    with torch.no_grad():
        outputs = model(**exportable.example(2, 16))
    exportable.outputs = [name for name, value in outputs.items() if isinstance(value, torch.Tensor)]
    return exportable


def open_encoder(folder: Path, vectors: SentenceVectors | None) -> Exportable:
    """Open a directory as an encoder that returns the states of tokens and, with `vectors`, those of texts.

    Raises:
        ValueError: it is no encoder of text, or it cannot be told of padding.
    """
    model = load_text_model(folder).eval()
    if not reads_mask(model):
        raise ValueError(
            f"{folder}: {type(model).__name__} takes no attention_mask, which every server sends; expected an encoder "
            "that can be told of padding"
        )
    _prepare(model)
    outputs = [HIDDEN] if vectors is None else [HIDDEN, VECTORS]
    return Exportable(model, _Encoder(model, vectors), _inputs(model), outputs)


def _prepare(model: PreTrainedModel) -> None:
    model.set_attn_implementation("eager")  # the exporter loses the strides of the fused kernel at batch 1


def _auto_class(folder: Path, config: PreTrainedConfig) -> str:
    name = next(iter(config.architectures or []), "Model")
    if isinstance(config, TriEmbedConfig):
        suffix = f".{name}"
        found = [key for key, path in config.auto_map.items() if path.endswith(suffix) and hasattr(transformers, key)]
        if not found:
            raise ValueError(f"{folder}: {name} has no Auto class, so it cannot be exported")
        return found[0]
    found = [auto for ending, auto in AUTO_CLASSES.items() if name.endswith(ending)]
    return found[0] if found else "AutoModel"


def _inputs(model: PreTrainedModel) -> list[str]:
    """Return what the model is given: segments only where it tells at least two apart."""
    takes = inspect.signature(model.forward).parameters
    segments = "token_type_ids" in takes and int(getattr(model.config, "type_vocab_size", None) or 0) > 1
    return ["input_ids", "attention_mask", *(["token_type_ids"] if segments else [])]


class _Task(torch.nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        outputs = self.model(input_ids, **_arguments(attention_mask, token_type_ids))
        return tuple(value.float() for value in outputs.values() if isinstance(value, torch.Tensor))


class _Encoder(torch.nn.Module):
    def __init__(self, model: PreTrainedModel, vectors: SentenceVectors | None) -> None:
        super().__init__()
        self.model = model
        self.vectors = vectors

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        # fp32 whatever the model computes in: engines read nothing else.
        hidden = self.model(input_ids, **_arguments(attention_mask, token_type_ids)).last_hidden_state.float()
        return (hidden,) if self.vectors is None else (hidden, self.vectors(hidden, attention_mask))


def _arguments(attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None) -> dict[str, Any]:
    segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
    return {"attention_mask": attention_mask, **segments}
