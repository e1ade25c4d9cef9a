"""Adapters for several tasks beside the weights, as in jina-embeddings-v3: one of them is added to the weights.

A weight W of shape (out, in) stands as `X.parametrizations.weight.original`, with `0.lora_A` (tasks, rank, in) and
`0.lora_B` (tasks, out, rank) beside it: for a task, W + B A * alpha / rank. Of a table (rows, width), A is (tasks,
rows, rank) and B (tasks, rank, width): W + A B * alpha / rank.
"""

from collections.abc import Mapping

import torch

from hf_embeddings.conversion.checkpoints import TensorHeader, TensorReader
from hf_embeddings.conversion.rules import Config, ConversionError

ORIGINAL, FIRST, SECOND = (f".parametrizations.weight.{part}" for part in ("original", "0.lora_A", "0.lora_B"))


class MergedAdapters:
    """A checkpoint with the adapter of one task added to its weights, or with none of them."""

    def __init__(self, checkpoint: TensorReader, number: int | None, scaling: float) -> None:
        self.checkpoint, self.number, self.scaling = checkpoint, number, scaling
        self.stored = {name.replace(ORIGINAL, ".weight"): name for name in checkpoint.tensors if not _is_adapter(name)}
        self.tensors: Mapping[str, TensorHeader] = {name: checkpoint.tensors[at] for name, at in self.stored.items()}

    def read(self, name: str) -> torch.Tensor:
        """Return one weight, with what the adapter adds."""
        stored = self.stored[name]
        weight = self.checkpoint.read(stored)
        start = stored.removesuffix(ORIGINAL)
        if self.number is None or start == stored or f"{start}{FIRST}" not in self.checkpoint.tensors:
            return weight
        first, second = (self.checkpoint.read(f"{start}{part}")[self.number].float() for part in (FIRST, SECOND))
        is_table = first.shape[0] == weight.shape[0] and second.shape[1] == weight.shape[1]
        added = first @ second if is_table else second @ first
        return (weight.float() + self.scaling * added).to(weight.dtype)


def merge_task(checkpoint: TensorReader, config: Config, task: str | None) -> TensorReader:
    """Return the weights for a task, those of the encoder alone if it is None.

    Raises:
        ConversionError: the checkpoint has no adapters, or none for this task.
    """
    has_adapters = any(ORIGINAL in name for name in checkpoint.tensors)
    tasks = config.get("lora_adaptations") or []
    if task is not None and (not has_adapters or task not in tasks):
        raise ConversionError(
            f"--task {task}: the checkpoint has "
            + (f"adapters for {', '.join(map(str, tasks))}; name one of them" if tasks else "no adapters; remove it")
        )
    if not has_adapters:
        return checkpoint
    scaling = config.get("lora_alpha", 1) / config.get("lora_rank", 4)
    return MergedAdapters(checkpoint, None if task is None else tasks.index(task), scaling)


def _is_adapter(name: str) -> bool:
    return name.endswith((FIRST, SECOND))
