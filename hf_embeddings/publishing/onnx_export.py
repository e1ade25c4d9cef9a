"""Export to ONNX, compared with the model before the file appears under its name."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

from hf_embeddings.analysis.differences import largest, largest_difference
from hf_embeddings.files.atomic import replacing
from hf_embeddings.loading.auto_classes import open_model
from hf_embeddings.loading.saved_model import read_config
from hf_embeddings.pip_extras import require
from hf_embeddings.publishing.checkpoint import Checkpoint

STACK_TRACE = "pkg.torch.onnx.stack_trace"  # where torch notes which line of which file made a node
TOLERANCE = 1e-4  # of fp32 outputs; 8-bit weights are reported, not judged


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how near it is to the model."""

    path: str
    inputs: list[str]
    outputs: list[str]
    size: int  # bytes
    largest_difference: float  # over all outputs, on random tokens with padding
    precision: str  # of the weights in the file: "fp32", whatever the checkpoint stores, or "int8"


def export_onnx(
    folder: Path, target: Path, *, fixed: tuple[int, int] | None = None, int8: bool = False, overwrite: bool = False
) -> Exported:
    """Write the checkpoint as one ONNX file that ONNX Runtime runs, in fp32 whatever format its weights are stored in.

    Args:
        folder: a directory that `from_pretrained` loads; its class decides the outputs.
        target: the .onnx file.
        fixed: batch and sequence length; None leaves both free.
        int8: store the weights of linear maps in 8 bits (dynamic quantization).
        overwrite: replace an existing file.

    Raises:
        ValueError: the file exists, a package is missing, or outputs differ by more than `TOLERANCE` or are NaN.
    """
    require("onnx", "onnx", "onnxruntime", "onnxscript")
    if target.exists() and not overwrite:
        raise ValueError(f"{target}: exists; choose another name or pass --overwrite")
    checkpoint = Checkpoint(folder)
    read_config(folder)  # before memory is taken for it
    model = open_model(folder, _auto_class(checkpoint), dtype=torch.float32).eval()
    model.set_attn_implementation("eager")  # the exporter loses the strides of the fused kernel at batch 1
    inputs = _example(model, *(fixed or (2, 16)))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as path:
        _export(model, inputs, path, dynamic=fixed is None)
        if int8:
            _quantize(path)
        difference, outputs = _compare(model, path, shapes=[fixed] if fixed else [(2, 16), (3, 9)])
        if math.isnan(difference) or not (int8 or difference <= TOLERANCE):
            raise ValueError(f"{folder}: the ONNX outputs differ by {difference:.2g}, expected at most {TOLERANCE:g}")
    return Exported(str(target), list(inputs), outputs, target.stat().st_size, difference, "int8" if int8 else "fp32")


def _auto_class(checkpoint: Checkpoint) -> str:
    suffix = f".{checkpoint.architecture}"
    for auto_class, path in checkpoint.config.auto_map.items():
        if path.endswith(suffix) and hasattr(transformers, auto_class):
            return auto_class
    raise ValueError(f"{checkpoint.folder}: {checkpoint.architecture} has no Auto class, so it cannot be exported")


def _example(model: PreTrainedModel, batch: int, length: int) -> dict[str, torch.Tensor]:
    """Return random tokens (B, S), the last two of the last row padding; (B, 2, S) for multiple choice."""
    shape = (batch, 2, length) if getattr(model, "takes_choices", False) else (batch, length)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, model.config.vocab_size, shape, generator=generator)
    mask = torch.ones_like(ids)
    mask[-1, ..., max(1, length - 2) :] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    return inputs | ({"token_type_ids": torch.zeros_like(ids)} if model.config.type_vocab_size else {})


class _Positional(torch.nn.Module):
    """The model as a function of tensors to a tuple of tensors."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs = self.model(input_ids, attention_mask=attention_mask, **segments)
        return tuple(value for value in outputs.values() if value is not None)


def _export(model: PreTrainedModel, inputs: dict[str, torch.Tensor], path: Path, *, dynamic: bool) -> None:
    with torch.no_grad():
        names = list(model(**inputs).keys())
    axes = {0: torch.export.Dim("batch"), inputs["input_ids"].dim() - 1: torch.export.Dim("sequence")}
    program = torch.onnx.export(
        _Positional(model).eval(),
        (),
        kwargs=inputs,
        input_names=list(inputs),
        output_names=names,
        dynamo=True,
        verbose=False,
        dynamic_shapes={name: axes for name in inputs} if dynamic else None,
    )
    assert program is not None, "dynamo=True returns it"
    for node in program.model.graph.all_nodes():
        node.metadata_props.pop(STACK_TRACE, None)  # paths of this machine, and a third of a small file
    program.save(path)


def _quantize(path: Path) -> None:
    """Replace a file by one of smaller weights."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # reduce_range: weights of 7 bits. Sums of larger products are cut off on processors without VNNI, without a word.
    options = {"DefaultTensorType": 1}
    quantize_dynamic(path, path, weight_type=QuantType.QInt8, reduce_range=True, extra_options=options)


def _compare(model: PreTrainedModel, path: Path, shapes: list[tuple[int, int]]) -> tuple[float, list[str]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    differences = []
    for shape in shapes:
        inputs = _example(model, *shape)
        with torch.no_grad():
            reference = model(**inputs)
        values = session.run(outputs, {name: tensor.numpy() for name, tensor in inputs.items()})
        for name, value in zip(outputs, values, strict=True):
            differences.append(largest_difference(value, reference[name].numpy()))
    return largest(differences), outputs
