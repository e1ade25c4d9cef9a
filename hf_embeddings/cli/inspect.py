"""`hf-embeddings inspect`: what a model is, from its config and the headers of its files."""

from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.cli.shipped_configs import find_config
from hf_embeddings.json_text import json_text
from hf_embeddings.pretraining.architecture import read_architecture

if TYPE_CHECKING:
    from hf_embeddings.evaluation.inspection import Inspection


def inspect(
    source: Annotated[str, typer.Argument(help="Checkpoint directory or config JSON.")], as_json: AsJson = False
) -> None:
    """Show what a model is: positions, tables, parameters and memory."""
    path = find_config(source)
    read_architecture(path)  # a mistake is answered before torch is loaded
    from hf_embeddings.evaluation.inspection import inspect_model

    inspection = inspect_model(path)
    print(json_text(inspection.to_dict(), indent=2) if as_json else render_inspection(inspection))


def render_inspection(inspection: "Inspection") -> str:
    """Write an inspection as lines for a terminal."""
    lines = [
        inspection.source,
        f"  position type      {inspection.position_embedding_type}",
        f"  layers x width     {inspection.num_hidden_layers} x {inspection.hidden_size}, "
        f"{inspection.num_attention_heads} heads",
    ]
    for name, beyond in inspection.beyond.items():
        lines.append(f"  beyond {inspection.max_position_embeddings:<11,} {name}: {beyond}")
    for name, (rows, width) in inspection.tables.items():
        lines.append(f"  table {name:<22} {rows:,} x {width} = {rows * width:,} parameters")
    lines += [
        f"  parameters         {inspection.parameters:,}, of which embeddings {inspection.embedding_share:.1%}",
        f"  memory             {inspection.bytes_fp32 / 1e6:,.1f} MB in fp32, "
        f"{inspection.bytes_bf16 / 1e6:,.1f} MB in bf16",
    ]
    if inspection.not_stored:
        lines.append(f"  not in the weights {', '.join(inspection.not_stored)}")
    return "\n".join(lines)
