"""The weights of a checkpoint: which its files hold, and whether they are numbers."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch

from hf_embeddings.file_names import WEIGHTS


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in the safetensors files of a directory, from their headers; none without any."""
    from safetensors import safe_open

    index = folder / f"{WEIGHTS}.index.json"
    names = [WEIGHTS]
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    shapes: dict[str, tuple[int, ...]] = {}
    for path in (folder / name for name in names):
        if path.is_file():
            with safe_open(path, framework="pt") as file:
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def check_finite(weights: Iterable[tuple[str, torch.Tensor]], source: object) -> None:
    """Look for weights that are no numbers, before figures are computed from them.

    Args:
        weights: names and tensors, such as `model.named_parameters()`.
        source: where they are from, for the error.

    Raises:
        ValueError: a tensor holds NaN or infinity; it is named.
    """
    for name, tensor in weights:
        if bad := int((~torch.isfinite(tensor.detach())).sum()):
            raise ValueError(
                f"{source}: the weight {name} holds {bad:,} values that are NaN or infinite, of {tensor.numel():,}, "
                "expected numbers; take an earlier checkpoint, or download it again"
            )
