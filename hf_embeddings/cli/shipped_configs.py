"""Config files by the names that README and docs use, wherever the package is installed."""

import importlib.util
from pathlib import Path


def find_config(name: str) -> Path:
    """Return `name` as a path, or the file of that name among the configs that the package ships."""
    path = Path(name)
    if path.exists() or "configs" not in path.parts:
        return path
    spec = importlib.util.find_spec("hf_embeddings.configs")
    inside = Path(*path.parts[path.parts.index("configs") + 1 :])
    shipped = Path(spec.origin).parent / inside if spec and spec.origin else path
    return shipped if shipped.exists() else path
