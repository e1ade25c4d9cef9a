"""`hf-embeddings inspect`: what a model is, from its config and the headers of its files; no weight is allocated."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.cli.shipped_configs import find_config
from hf_embeddings.json_text import json_text
from hf_embeddings.pretraining.architecture import read_architecture


def inspect(
    source: Annotated[str, typer.Argument(help="Checkpoint directory or config JSON.")], as_json: AsJson = False
) -> None:
    """Show what a model is: positions, tables, parameters and memory."""
    description = describe(find_config(source))
    print(json_text(description, indent=2) if as_json else render(description))


def describe(source: Path) -> dict[str, Any]:
    """Return position type, tables, parameters and memory of a checkpoint directory or config file.

    Raises:
        ValueError: the path holds no config of a TriEmbed model.
    """
    fields = read_architecture(source)
    import torch

    from hf_embeddings.loading.saved_model import check_counts, check_shapes, make_config
    from hf_embeddings.loading.stored_weights import stored_shapes
    from hf_embeddings.model.modeling_triembed import TriEmbedModel

    # A checkpoint may lack the pooler that a config stands for, or have heads that it does not.
    shapes = stored_shapes(source) if source.is_dir() else {}
    check_counts(fields, source, shapes)
    config = make_config(fields, source, foreign=source.is_dir())
    check_shapes(config, source, shapes)
    with torch.device("meta"):
        model = TriEmbedModel(config)
    tables = {
        name.removeprefix("embeddings.").removesuffix(".weight"): list(p.shape)
        for name, p in model.named_parameters()
        if name.startswith("embeddings.") and not name.startswith("embeddings.norm") and p.dim() == 2
    }
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    own_sizes = {name: p.numel() for name, p in model.named_parameters()}
    lacking = sorted({name.split(".")[0] for name in own_sizes if shapes and not _holds(shapes, name)})
    sizes = sizes or own_sizes
    total = sum(sizes.values())
    embedding = sum(size for name, size in sizes.items() if "embeddings" in name.split("."))
    return {
        "source": str(source),
        "position_embedding_type": config.position_embedding_type,
        "num_hidden_layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "num_attention_heads": config.num_attention_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "beyond": {name: part.beyond for name, part in model.embeddings.position.items()},
        "tables": tables,
        "embedding_parameters": embedding,
        "parameters": total,
        "counted_in": "weights" if shapes else "config",
        "not_stored": lacking,
        "embedding_share": embedding / total,
        "bytes_fp32": 4 * total,
        "bytes_bf16": 2 * total,
    }


def render(description: dict[str, Any]) -> str:
    """Write a description as lines for a terminal."""
    lines = [
        f"{description['source']}",
        f"  position type      {description['position_embedding_type']}",
        f"  layers x width     {description['num_hidden_layers']} x {description['hidden_size']}, "
        f"{description['num_attention_heads']} heads",
    ]
    for name, beyond in description["beyond"].items():
        lines.append(f"  beyond {description['max_position_embeddings']:<11,} {name}: {beyond}")
    for name, (rows, width) in description["tables"].items():
        lines.append(f"  table {name:<22} {rows:,} x {width} = {rows * width:,} parameters")
    lines += [
        f"  parameters         {description['parameters']:,}, of which embeddings {description['embedding_share']:.1%}",
        f"  memory             {description['bytes_fp32'] / 1e6:,.1f} MB in fp32, "
        f"{description['bytes_bf16'] / 1e6:,.1f} MB in bf16",
    ]
    if description["not_stored"]:
        lines.append(f"  not in the weights {', '.join(description['not_stored'])}")
    return "\n".join(lines)


def _holds(names: Iterable[str], name: str) -> bool:
    """Tell whether a parameter of the encoder is stored, perhaps as part of a model with a head."""
    return any(own == name or own.endswith(f".{name}") for own in names)
