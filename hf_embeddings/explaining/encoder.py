"""Load the model to explain: TriEmbed as it was saved, another family as `convert` would make TriEmbed of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.matching import ConversionOptions, match_family
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.sources import open_source
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import load_saved, one_line_errors, read_config, read_tokenizer
from hf_embeddings.loading.stored_weights import check_finite
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel


@dataclass(frozen=True)
class LoadedEncoder:
    """A model to look into, with its heads and its tokenizer."""

    name: str
    family: str  # model_type of its directory
    encoder: TriEmbedModel
    head: nn.Module | None  # maps states (..., D) to scores (..., V); None: the model has no MLM head
    relation: nn.Module | None  # maps pooled states (B, D) to NSP scores (B, 2), 0 for "follows"
    tokenizer: PreTrainedTokenizerBase


def load_encoder(folder: str | Path) -> LoadedEncoder:
    """Load the model of a directory in fp32, with plain attention, which returns its weights.

    Raises:
        ValueError: the directory is damaged, of a family that is not known, or its tokenizer is no fast one.
    """
    folder = Path(folder)
    config = read_config(folder)
    own = isinstance(config, TriEmbedConfig)
    model = load_saved(folder) if own else _converted(folder)
    check_finite(model.named_parameters(), folder)
    model.set_attn_implementation("eager")
    tokenizer = read_tokenizer(folder)
    if not tokenizer.is_fast:
        raise ValueError(f"{folder}: the tokenizer is {type(tokenizer).__name__}, expected a fast one; save it as one")
    new = {name.split(".")[0] for name in model.new_modules}
    heads = {name: getattr(model, name, None) for name in ("predictions", "seq_relationship") if name not in new}
    encoder = model.base_model
    relation = heads.get("seq_relationship") if encoder.pooler is not None else None
    return LoadedEncoder(
        folder.resolve().name, config.model_type, encoder, heads.get("predictions"), relation, tokenizer
    )


def _converted(folder: Path) -> TriEmbedPreTrainedModel:
    """Return the TriEmbed model that `hf-embeddings convert` would write, without writing it."""
    weights: dict[str, torch.Tensor] = {}
    try:
        original = open_source(folder)
        transfer = match_family(original.config, original.checkpoint, ConversionOptions(), original.family)
        transfer.described()
        for step in transfer.steps():
            weights |= {name: value.float() for name, value in transfer.values(step).items()}
    except ConversionError as error:
        raise ValueError(f"{folder}: {error}") from None
    model_class: Any = transfer.plan.head.model_class
    bare = f"{TriEmbedModel.base_model_prefix}."
    if model_class is TriEmbedModel:
        weights = {name.removeprefix(bare): value for name, value in weights.items()}
    with quiet_loading(), one_line_errors(folder):
        model: TriEmbedPreTrainedModel = model_class.from_pretrained(
            None, config=transfer.plan.config, state_dict=weights, dtype=torch.float32
        )
    return model.eval()
