"""The number formats of an ONNX file, and how near each is to the model in torch."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hf_embeddings.analysis.differences import largest, largest_difference
from hf_embeddings.exporting.exportable import VECTORS, Exportable
from hf_embeddings.exporting.graph import DATA, LARGEST_FILE, Inputs, files_of, silent, write_graph

WeightPrecision = Literal["fp32", "fp16", "int8"]
TOLERANCE = 1e-4  # of fp32 outputs, beside the largest value where that is above 1; others are reported, not judged
LOW_COSINE = 0.95  # of 8-bit vectors: below, neighbours change


@dataclass(frozen=True)
class Fidelity:
    """How near an ONNX file is to the model in fp32."""

    largest_difference: float  # over all outputs, on random tokens with padding on either side
    text_difference: float | None = None  # over all outputs but hidden states, on real texts
    worst_cosine: float | None = None  # of sentence vectors, over the same texts
    mean_cosine: float | None = None


def write_precision(
    exportable: Exportable, path: Path, precision: WeightPrecision, *, example: Inputs, fixed: bool
) -> None:
    """Write a graph in a number format; inputs are integers and outputs fp32 in each."""
    module = _halved(exportable) if precision == "fp16" else exportable.module
    write_graph(module, example, exportable.outputs, path, fixed=fixed)
    if precision == "int8":
        quantize_graph(path, path)


def quantize_graph(source: Path, target: Path) -> None:
    """Write a graph again with 8-bit weights of linear maps and tables, and a scale for each channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = sum(file.stat().st_size for file in files_of(source)) > LARGEST_FILE
    small = target.with_name(f"{target.name}.int8")
    # reduce_range: weights of 7 bits. Sums of larger products are cut off on processors without VNNI, without a word.
    with silent():
        quantize_dynamic(
            source,
            small,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=large,
            nodes_to_exclude=_not_matrices(source),
            extra_options={"DefaultTensorType": 1},
        )
    if not large:
        small.replace(target)
        return
    parts = list(target.parent.glob(f"{small.name}*"))  # its weights lie in a file with a name of its own
    still_large = sum(part.stat().st_size for part in parts) > LARGEST_FILE
    written = onnx.load(small)
    for part in parts:
        part.unlink()
    onnx.save_model(
        written, target, save_as_external_data=still_large, location=f"{target.name}{DATA}", size_threshold=128
    )


def _not_matrices(path: Path) -> list[str]:
    """Return the products with a constant that is no matrix, such as a table for each head.

    ONNX Runtime takes no scale for each channel there.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    return [node.name for node in products if any(ranks.get(name, 2) != 2 for name in node.input)]


def _halved(exportable: Exportable) -> torch.nn.Module:
    """Return a copy whose encoder has fp16 weights, but for those that `from_pretrained` keeps in fp32, too."""
    module = copy.deepcopy(exportable.module)
    model: Any = module.model
    kept = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not kept & set(name.split(".")):
            parameter.data = parameter.data.half()
    return module


def open_session(path: Path) -> Any:  # noqa: ANN401  of a library without types
    """Return an ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare_with_model(
    exportable: Exportable, path: Path, examples: list[Inputs], texts: list[Inputs] | None = None
) -> Fidelity:
    """Compare a file with the model in fp32.

    Args:
        exportable: the model.
        path: the file.
        examples: inputs of random tokens.
        texts: batches of real texts.
    """
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]

    def differences(inputs: Inputs) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        reference = exportable.run(inputs)
        found = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
        return {name: (value, reference[name].numpy()) for name, value in zip(names, found, strict=True)}

    random = largest(largest_difference(*pair) for inputs in examples for pair in differences(inputs).values())
    if not texts:
        return Fidelity(random)
    batches = [differences(inputs) for inputs in texts]
    # Hidden states of padding are compared above; here, what a user gets.
    of_texts = [pair for batch in batches for name, pair in batch.items() if name == VECTORS or VECTORS not in names]
    difference = largest(largest_difference(*pair) for pair in of_texts)
    if VECTORS not in names:
        return Fidelity(random, difference)
    cosines = np.concatenate([_cosines(*batch[VECTORS]) for batch in batches])
    return Fidelity(random, difference, float(cosines.min()), float(cosines.mean()))


def allowed(exportable: Exportable, example: Inputs) -> float:
    """Return the difference that rounding in fp32 explains, which grows with the values."""
    return TOLERANCE * max(1.0, largest(float(value.abs().max()) for value in exportable.run(example).values()))


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    product = (one * other).sum(axis=-1)
    return product / np.maximum(np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1), 1e-12)


def as_numbers(inputs: dict[str, Any]) -> Inputs:
    """Return the tensors of a tokenizer's output."""
    return {name: torch.as_tensor(value) for name, value in inputs.items()}
