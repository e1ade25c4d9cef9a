"""A module of torch as an ONNX file.

Shapes: B batch, S sequence.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

OPSET = 18  # the newest that every engine in use runs, and the one that the exporter writes by itself
AXES = ("batch_size", "sequence_length")  # names of the dimensions that are free, as engines know them
STACK_TRACE = "pkg.torch.onnx.stack_trace"  # where torch notes which line of which file made a node
LARGEST_FILE = 1_900_000_000  # bytes; a protocol buffer ends at 2 GiB, and larger weights lie in a file of their own
DATA = "_data"  # what the name of that file adds to the name of the graph, as engines expect

Inputs = dict[str, torch.Tensor]


def write_graph(
    module: torch.nn.Module, example: Inputs, outputs: list[str], path: Path, *, fixed: bool = False
) -> None:
    """Write a module as an ONNX file; what is larger than `LARGEST_FILE` has its weights in a second file.

    Args:
        module: takes the inputs by name, and returns the outputs as a tuple.
        example: inputs (B, S) or (B, N, S), at least two rows and tokens where the sizes are free.
        outputs: names of what it returns.
        path: the file.
        fixed: whether batch and length are those of the example only.
    """
    free = {0: torch.export.Dim(AXES[0]), example["input_ids"].dim() - 1: torch.export.Dim(AXES[1])}
    import onnx_ir

    with silent(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            (),
            kwargs=example,
            input_names=list(example),
            output_names=outputs,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            dynamic_shapes=None if fixed else {name: free for name in example},
        )
        assert program is not None, "dynamo=True returns it"
        for node in program.model.graph.all_nodes():
            node.metadata_props.pop(STACK_TRACE, None)  # paths of this machine, and a third of a small file
        tensors = [value.const_value for value in program.model.graph.initializers.values()]
        large = sum(tensor.nbytes for tensor in tensors if tensor is not None) > LARGEST_FILE
        onnx_ir.save(program.model, path, external_data=f"{path.name}{DATA}" if large else None)


def files_of(path: Path) -> list[Path]:
    """Return the file of a graph, and that of its weights where they lie apart."""
    return [file for file in (path, path.with_name(f"{path.name}{DATA}")) if file.exists()]


@contextmanager
def silent() -> Iterator[None]:
    """Keep what torch, onnxscript and onnxruntime say of themselves while they export off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
