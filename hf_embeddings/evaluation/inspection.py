"""What a model is, from its config and the headers of its files; no weight is allocated."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from hf_embeddings.json_record import JsonRecord
from hf_embeddings.loading.saved_model import check_counts, check_shapes, make_config
from hf_embeddings.loading.stored_weights import stored_shapes
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.pretraining.architecture import read_architecture


@dataclass(frozen=True, kw_only=True)
class Inspection(JsonRecord):
    """Position type, tables, parameters and memory of a checkpoint directory or config file."""

    source: str
    position_embedding_type: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    max_position_embeddings: int
    beyond: dict[str, str]  # position type -> what it does beyond that length
    tables: dict[str, list[int]]  # name -> rows and width
    embedding_parameters: int
    parameters: int
    counted_in: str  # weights or config
    not_stored: list[str]  # modules of the encoder that the weights lack
    embedding_share: float
    bytes_fp32: int
    bytes_bf16: int


def inspect_model(source: Path) -> Inspection:
    """Return what a checkpoint directory or config file says of its model.

    Raises:
        ValueError: the path holds no config of a TriEmbed model.
    """
    fields = read_architecture(source)
    # A checkpoint may lack the pooler that a config stands for, or have heads that it does not.
    shapes = stored_shapes(source) if source.is_dir() else {}
    check_counts(fields, source, shapes)
    config = make_config(fields, source, foreign=source.is_dir())
    check_shapes(config, source, shapes)
    with torch.device("meta"):
        model = TriEmbedModel(config)
    own_sizes = {name: p.numel() for name, p in model.named_parameters()}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()} or own_sizes
    total = sum(sizes.values())
    embedding = sum(size for name, size in sizes.items() if "embeddings" in name.split("."))
    return Inspection(
        source=str(source),
        position_embedding_type=config.position_embedding_type,
        num_hidden_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        num_attention_heads=config.num_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
        beyond={name: part.beyond for name, part in model.embeddings.position.items()},
        tables=_tables(model),
        embedding_parameters=embedding,
        parameters=total,
        counted_in="weights" if shapes else "config",
        not_stored=sorted({name.split(".")[0] for name in own_sizes if shapes and not _holds(shapes, name)}),
        embedding_share=embedding / total,
        bytes_fp32=4 * total,
        bytes_bf16=2 * total,
    )


def _tables(model: TriEmbedModel) -> dict[str, list[int]]:
    return {
        name.removeprefix("embeddings.").removesuffix(".weight"): list(p.shape)
        for name, p in model.named_parameters()
        if name.startswith("embeddings.") and not name.startswith("embeddings.norm") and p.dim() == 2
    }


def _holds(names: Iterable[str], name: str) -> bool:
    """Tell whether a parameter of the encoder is stored, perhaps as part of a model with a head."""
    return any(own == name or own.endswith(f".{name}") for own in names)
