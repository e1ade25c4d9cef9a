"""The two architectures of replaced-token detection: what a config says of a discriminator, and its generator's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_embeddings.loading.saved_model import one_line_errors
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.discriminators import REPLACED, is_discriminator
from hf_embeddings.pretraining.architecture import read_architecture
from hf_embeddings.pretraining.options import GeneratorOptions

_OF_THE_HEAD = ("id2label", "label2id", "token_transform", "pooler_act", "architectures")


def discriminator_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an architecture with the head of a discriminator, which is that of ELECTRA."""
    head = {"id2label": {0: REPLACED}, "label2id": {REPLACED: 0}, "token_transform": True}
    return {**fields, **head, "pooler_act": fields.get("hidden_act", TriEmbedConfig.hidden_act)}


def detects(config: TriEmbedConfig) -> bool:
    """Tell whether a run trains a discriminator, by the architecture of its model."""
    return bool(config.id2label == {0: REPLACED})


def without_detection(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a checkpoint's config without those of the head of a discriminator, which is not kept."""
    left = _OF_THE_HEAD if is_discriminator(fields) else ()
    return {name: value for name, value in fields.items() if name not in left}


def generator_config(config: TriEmbedConfig, options: GeneratorOptions) -> TriEmbedConfig:
    """Return the architecture of the generator of a discriminator.

    It has heads as wide as the discriminator's, fewer of them, and a token table as wide, from which a linear map leads
    to its hidden size.

    Raises:
        ValueError: no such model can be built.
    """
    heads = max(1, round(config.num_attention_heads * options.width))
    hidden = config.hidden_size // config.num_attention_heads * heads
    layers = max(1, round(config.num_hidden_layers * options.layers))
    table = config.embedding_size or config.hidden_size
    fields = {name: value for name, value in config.to_dict().items() if name not in _OF_THE_HEAD}
    fields |= {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": max(1, config.intermediate_size * hidden // config.hidden_size),
        "embedding_size": table if config.factorised_embeddings == "token" or table != hidden else None,
        "layer_types": config.layer_types and config.layer_types[:layers],
    }
    with one_line_errors("generator", "change generator.width or generator.layers"):
        return TriEmbedConfig.from_dict(fields)


def check_stored_generator(made: TriEmbedConfig, folder: Path) -> None:
    """Compare the generator that the options make with the one that lies beside a discriminator.

    Raises:
        ValueError: its sizes are others.
    """
    stored = read_architecture(folder)
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "embedding_size"):
        if (found := stored.get(name)) != getattr(made, name):
            raise ValueError(
                f"generator: its options make {name} {getattr(made, name)}, expected {found}, as in {folder}; give the "
                "width and layers that it was made with"
            )
