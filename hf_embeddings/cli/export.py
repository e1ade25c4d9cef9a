"""`hf-embeddings export`: a checkpoint as one ONNX file, compared with the model."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Checkpoint directory.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx file to write.")],
    fixed: Annotated[
        str | None, typer.Option(help="Fixed batch size and length in tokens, such as 1x128; default: any.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Store the weights of linear maps in 8 bits.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint as one ONNX file, compared with the model."""
    shape = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", fixed) if fixed is not None else None
    if fixed is not None and shape is None:
        raise ValueError(f"--fixed: got {fixed!r}, expected batch x tokens, such as 1x128")
    check_model(folder, "the directory of a TriEmbed checkpoint")
    from hf_embeddings.publishing.onnx_export import export_onnx

    sizes = (int(shape[1]), int(shape[2])) if shape else None
    file = export_onnx(folder, target, fixed=sizes, int8=int8, overwrite=overwrite)
    if as_json:
        print(json_text(asdict(file)))
        return
    print(
        f"{file.path}: {file.size:,} bytes ({file.precision}), {', '.join(file.inputs)} -> {', '.join(file.outputs)}; "
        f"largest difference from the model {file.largest_difference:.2g}"
    )
