"""Read an architecture: the fields of a config file, before they are checked as a config."""

from pathlib import Path
from typing import Any

from hf_embeddings.files.reading import read_object


def is_checkpoint(base: Path) -> bool:
    """Tell whether `model.base` names a checkpoint directory, rather than the file of an architecture."""
    return base.is_dir()


def read_architecture(path: Path) -> dict[str, Any]:
    """Return the fields of a config file, or of that in a checkpoint directory.

    Raises:
        ValueError: the path is not a file, or holds no JSON object.
    """
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"{path}: not a config file; give one that exists, such as configs/model/mini.json")
    return read_object(path)
