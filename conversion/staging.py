"""Write a checkpoint next to its place, shard by shard, and move it there only when it is complete and checked."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file

from hf_embeddings.conversion.rules import ConversionError

Unit = TypeVar("Unit")


@contextmanager
def staged(target: Path, *, source: Path, overwrite: bool) -> Iterator[Path]:
    """Yield an empty directory that becomes `target` if the block succeeds, and disappears if it does not.

    Raises:
        ConversionError: `target` is or holds the source, or it exists, is not an empty directory, and `overwrite` is
            false.
    """
    target = target.absolute()
    if source.resolve().is_relative_to(target.resolve()):
        raise ConversionError(f"{target}: holds the source; choose another directory to write")
    if target.exists() and not target.is_dir():
        raise ConversionError(f"{target}: a file; expected a directory to write")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ConversionError(f"{target}: not empty; choose another directory, or give --overwrite to replace it")
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    stage.mkdir()
    try:
        yield stage
        if target.exists():
            old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            target.rename(old)
            stage.rename(target)
            shutil.rmtree(old)
        else:
            stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


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
    filled = 0
    for unit, size in units:
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(unit)
        filled += size
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        tensors = make(shard)
        save_file(tensors, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)  # safetensors writes for the owner alone
        where |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(size for _, size in units)}, "weight_map": where}
        (folder / "model.safetensors.index.json").write_text(
            json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
        )
