"""`hf-embeddings export`: a model as one ONNX file, or as a directory that servers load, compared with the model."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Model directory.")],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="The .onnx file to write; the directory with --for.")
    ],
    purpose: Annotated[
        Literal["servers"] | None,
        typer.Option(
            "--for", help="Write a directory that embedding servers load, with sentence vectors in the graph."
        ),
    ] = None,
    fixed: Annotated[
        str | None, typer.Option(help="Fixed batch size and length in tokens, such as 1x128; default: any.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Store the weights in 8 bits.")] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Store the weights in fp16; with --for, in one more file.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing target.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX, compared with the model: one file, or with --for a directory that servers load."""
    shape = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", fixed) if fixed is not None else None
    if fixed is not None and shape is None:
        raise ValueError(f"--fixed: got {fixed!r}, expected batch x tokens, such as 1x128")
    if purpose is not None and (fixed is not None or int8):
        option, reason = (
            ("--fixed", "servers send any size") if fixed is not None else ("--int8", "it is always written")
        )
        raise ValueError(f"{option}: given with --for {purpose}, but {reason}; leave it out")
    if int8 and fp16:
        raise ValueError("--int8, --fp16: one file has one number format; give one of them")
    if purpose is None and target.suffix.lower() != ".onnx":
        raise ValueError(f"{target}: expected a name that ends in .onnx; --for servers writes a directory")
    check_model(folder)
    if purpose is not None:
        _for_servers(folder, target, fp16=fp16, overwrite=overwrite, as_json=as_json)
        return
    from hf_embeddings.exporting.single_file import export_onnx

    sizes = (int(shape[1]), int(shape[2])) if shape else None
    precision: Literal["fp32", "fp16", "int8"] = "int8" if int8 else "fp16" if fp16 else "fp32"
    file = export_onnx(folder, target, fixed=sizes, precision=precision, overwrite=overwrite)
    if as_json:
        print(json_text(asdict(file)))
        return
    free = f"{fixed} tokens" if fixed else "any batch and length"
    print(
        f"{file.path}: {file.size:,} bytes ({file.precision}, opset {file.opset}, {free}), {', '.join(file.inputs)} -> "
        f"{', '.join(file.outputs)}; largest difference from the model {file.largest_difference:.2g}"
    )


def _for_servers(folder: Path, target: Path, *, fp16: bool, overwrite: bool, as_json: bool) -> None:
    from hf_embeddings.files.staging import check_target

    if target.suffix.lower() == ".onnx":
        raise ValueError(f"{target}: got the name of one file, expected a directory; leave .onnx out, or --for servers")
    check_target(target, inputs={"DIR": folder}, overwrite=overwrite)
    from hf_embeddings.exporting.servers import export_for_servers

    done = export_for_servers(folder, target, fp16=fp16, overwrite=overwrite)
    if as_json:
        print(json_text(asdict(done)))
        return
    print(f"{done.path}: opset {done.opset}, {', '.join(done.inputs)} (batch_size, sequence_length) -> {done.shapes}")
    if done.pooling:
        print(f"{done.pooling}; at most {done.max_length} tokens")
    for file in done.files:
        print(f"{file.name}: {file.size:,} bytes, {file.precision}, {file.words}")
    for note in done.notes:
        print(f"note: {note}")
