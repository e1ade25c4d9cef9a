"""Export to one ONNX file, compared with the model before the file appears under its name."""

import math
from dataclasses import dataclass
from pathlib import Path

from hf_embeddings.exporting.exportable import open_task_model
from hf_embeddings.exporting.graph import OPSET, files_of
from hf_embeddings.exporting.precision import WeightPrecision, allowed, compare_with_model, write_precision
from hf_embeddings.files.atomic import replacing
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.pip_extras import require


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how near it is to the model."""

    path: str
    inputs: list[str]
    outputs: list[str]
    size: int  # bytes
    largest_difference: float  # over all outputs, on random tokens with padding
    precision: str  # of the weights in the file, whatever the checkpoint stores
    opset: int


def export_onnx(
    folder: Path,
    target: Path,
    *,
    fixed: tuple[int, int] | None = None,
    precision: WeightPrecision = "fp32",
    overwrite: bool = False,
) -> Exported:
    """Write a checkpoint as one ONNX file that ONNX Runtime runs, with the outputs of the class that was saved.

    Args:
        folder: a directory that `from_pretrained` loads; its class decides the outputs.
        target: the .onnx file.
        fixed: batch and sequence length; None leaves both free.
        precision: of the weights; inputs are int64 and outputs fp32 in each.
        overwrite: replace an existing file.

    Raises:
        ValueError: the file exists, a package is missing, the model is too large for one file, or reads fewer tokens
            than `fixed` has; or outputs differ by more than rounding in fp32, or are NaN.
    """
    require("onnx", "onnx", "onnxruntime", "onnxscript")
    if target.exists() and not overwrite:
        raise ValueError(f"{target}: exists; choose another name or pass --overwrite")
    check_model(folder)
    exportable = open_task_model(folder)
    if fixed and fixed[1] > exportable.longest:
        most = f"the model reads {exportable.longest:,} at most"
        raise ValueError(f"{folder}: got a fixed length of {fixed[1]:,} tokens, {most}; give fewer")
    sizes = [fixed] if fixed else [(2, 16), (3, 9)]
    examples = [exportable.example(*size) for size in sizes]
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as path:
        try:
            write_precision(exportable, path, precision, example=examples[0], fixed=fixed is not None)
            if len(files_of(path)) > 1:
                raise ValueError(f"{folder}: too large for one ONNX file, which ends at 2 GiB; use --for servers")
            difference = compare_with_model(exportable, path, examples).largest_difference
        finally:
            for file in files_of(path)[1:]:
                file.unlink()
        if math.isnan(difference) or (precision == "fp32" and not difference <= allowed(exportable, examples[0])):
            raise ValueError(f"{folder}: the ONNX outputs differ by {difference:.2g}, expected at most 0.0001")
    return Exported(
        str(target),
        exportable.inputs,
        exportable.outputs,
        target.stat().st_size,
        difference,
        precision,
        OPSET,
    )
