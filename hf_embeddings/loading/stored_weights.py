"""The weights of a checkpoint: which its files hold, and whether they are numbers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.files.reading import open_file, read_object


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in the safetensors files of a directory, from their headers; none without any.

    Raises:
        ValueError: a file, or the index of several, is damaged.
    """
    index = folder / f"{WEIGHTS}.index.json"
    names = _named_files(index) if index.is_file() else [WEIGHTS]
    shapes: dict[str, tuple[int, ...]] = {}
    for path in (folder / name for name in names):
        if path.is_file():
            with open_weights(path) as file:
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


@contextmanager
def open_weights(path: Path, framework: str = "pt") -> Iterator[Any]:
    """Open a safetensors file, as `safe_open` does.

    Raises:
        ValueError: it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    open_file(path).close()  # of a file that must not be read, safetensors says that it is not there
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: no weights in safetensors ({error}); save or download the file again") from None


def _named_files(index: Path) -> list[str]:
    """Return the names of the files that an index of weights lists."""
    try:
        names = read_object(index)["weight_map"].values()
        return sorted({str(name) for name in names})
    except (LookupError, AttributeError) as error:
        raise ValueError(f"{index}: no index of weights ({error!r}); save or download the file again") from None


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
