"""Dense modules of sentence-transformers: linear maps of pooled vectors, read from their directories.

Shapes: B batch, W features of a pooled vector, E features after the map.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from hf_embeddings.loading.stored_weights import open_weights
from hf_embeddings.search.recipe_files import ANY, Only, Rules, read_checked

DENSE = "Dense"  # last part of the module's type
IDENTITY = "torch.nn.modules.linear.Identity"
OF_VECTORS: Rules = {
    "module_input_name": Only(("sentence_embedding",)),
    "module_output_name": Only((None, "sentence_embedding")),
}
DENSE_KEYS: Rules = {
    "in_features": ANY,
    "out_features": ANY,
    "bias": ANY,
    "activation_function": ANY,
    "use_residual": Only((None, False)),
    **OF_VECTORS,
}


class Dense(nn.Module):
    """A linear map and an activation."""

    def __init__(self, linear: nn.Linear, activation: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.activation = activation

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map (B, W) to (B, E)."""
        return self.activation(self.linear(vectors))


def read_dense(folder: Path) -> tuple[Dense, dict[str, Any]]:
    """Return the module in a directory, and its settings.

    Raises:
        ValueError: a file states something that is not known here, or there are no weights.
    """
    place = folder / "config.json"
    settings = read_checked(place, DENSE_KEYS)
    weights = module_weights(folder, place)
    if "linear.weight" not in weights:
        raise ValueError(f"{folder}: no linear.weight in its weights; restore the directory")
    wide, narrow = weights["linear.weight"].shape
    linear = nn.Linear(narrow, wide, bias="linear.bias" in weights)
    linear.load_state_dict({name.removeprefix("linear."): tensor.float() for name, tensor in weights.items()})
    return Dense(linear, _activation(place, settings)), settings


def read_projection(folders: list[Path], width: int) -> nn.Sequential | None:
    """Return the dense modules of a directory, one after the other, for vectors of `width`; None without any.

    Raises:
        ValueError: as `read_dense`; or one takes vectors of another width.
    """
    modules = []
    for folder in folders:
        dense, _ = read_dense(folder)
        if dense.linear.in_features != width:
            raise ValueError(
                f"{folder}: takes vectors of {dense.linear.in_features} features, expected {width}, as those before it "
                "have; restore the directory"
            )
        modules.append(dense)
        width = dense.linear.out_features
    return nn.Sequential(*modules).eval().requires_grad_(False) if modules else None


def module_weights(folder: Path, place: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a module; `place` is the file of its settings, for the error.

    Raises:
        ValueError: they are missing, or a pickle.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ValueError(
            f"{place}: no model.safetensors beside it, expected the weights of the module; a pickle is not read: load "
            "the directory with sentence-transformers and save it again"
        )
    with open_weights(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _activation(place: Path, settings: dict[str, Any]) -> nn.Module:
    name = settings.get("activation_function")
    name = "torch.nn.modules.activation.Tanh" if name is None else str(name)
    found = getattr(nn, name.rsplit(".", 1)[-1], None)
    if not name.startswith("torch.nn.") or not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{place}: activation_function {name!r}, expected a class of torch.nn without arguments")
    try:
        return found()
    except TypeError:
        raise ValueError(f"{place}: activation_function {name!r} takes arguments, expected one without") from None
