"""The code that makes a checkpoint load where this package is not installed."""

import json
from pathlib import Path

import hf_embeddings.model
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.reading import read_object
from hf_embeddings.model.configuration_triembed import AUTO_MAP

ROOM = Path(hf_embeddings.model.__file__).parent


def write_code(folder: Path) -> None:
    """Copy the model's code next to its weights, and name every class of it in config.json."""
    for source in sorted(ROOM.glob("*.py")):
        if source.name != "__init__.py":
            replace_text(folder / source.name, source.read_text(encoding="utf-8"))
    path = folder / "config.json"
    config = read_object(path)
    whole = (config.get("auto_map") or {}) | AUTO_MAP
    if config.get("auto_map") != whole:
        config["auto_map"] = whole
        replace_text(path, json.dumps(config, indent=2, sort_keys=True) + "\n")
