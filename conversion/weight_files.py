"""Write the weights of a checkpoint shard by shard, under the file names of transformers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file

Unit = TypeVar("Unit")


def write_weights(
    folder: Path,
    units: Sequence[tuple[Unit, int]],
    make: Callable[[list[Unit]], dict[str, torch.Tensor]],
    *,
    shard_bytes: int,
) -> None:
    """Write safetensors of at most `shard_bytes` each, under the file names of transformers.

    Args:
        folder: where to write.
        units: what is built together, with the bytes of its tensors, in the order to write.
        make: returns the tensors of some units; it is called once for each shard, so one shard is in memory.
        shard_bytes: largest shard, unless a single unit is larger.
    """
    shards: list[list[Unit]] = [[]]
    shard_size = 0
    for unit, size in units:
        if shards[-1] and shard_size + size > shard_bytes:
            shards.append([])
            shard_size = 0
        shards[-1].append(unit)
        shard_size += size
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        tensors = make(shard)
        save_file(tensors, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(size for _, size in units)}, "weight_map": where}
        (folder / "model.safetensors.index.json").write_text(
            json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
        )
