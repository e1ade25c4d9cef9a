"""Read an architecture: the fields of a config file, before they are checked as a config."""

import json
from pathlib import Path
from typing import Any


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
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); repair or download the file again") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: holds a {type(fields).__name__}, expected a JSON object with the fields of a config")
    return fields
