"""The modules of a sentence-transformers directory: copied, but for pickles and the place of the encoder."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from hf_embeddings.conversion.checkpoints import open_checkpoint
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.files.reading import read_json

TRANSFORMER = "sentence_transformers.models.Transformer"
PICKLE, WEIGHTS = "pytorch_model.bin", "model.safetensors"


def copy_module(source: Path, target: Path, *, allow_pickle: bool = False) -> None:
    """Copy the directory of a module; weights that are a pickle become safetensors.

    Args:
        source: such as `2_Dense`, or `1_Pooling`, which has settings only.
        target: where to write it.
        allow_pickle: read a pickle where there is nothing else.

    Raises:
        ConversionError: its weights are a pickle, and those are not allowed, or they are damaged.
    """
    shutil.copytree(source, target, symlinks=False, ignore=lambda folder, names: {PICKLE} & set(names))
    if (source / PICKLE).is_file() and not (source / WEIGHTS).is_file():
        checkpoint = open_checkpoint(source, allow_pickle=allow_pickle)
        tensors = {name: checkpoint.read(name).contiguous() for name in checkpoint.tensors}
        save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})


def put_on_top(path: Path) -> None:
    """Say in a modules.json that the encoder lies in the directory itself, read by the module of today.

    Raises:
        ConversionError: it is no list of modules.
    """
    modules = _listed(path)
    if not modules:
        raise ConversionError(f"{path}: names no module; expected the encoder as the first")
    modules[0] |= {"path": "", "type": TRANSFORMER}
    path.write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8", newline="\n")


def has_own_encoder(folder: Path) -> bool:
    """Tell whether the first module, the encoder, is code of the source's own: the converted one needs none."""
    return any(number == 0 for number, _ in _own(folder))


def own_modules(folder: Path) -> list[str]:
    """Return the types of the modules behind the encoder that are code of the source's own, which is not copied."""
    return [name for number, name in _own(folder) if number]


def _own(folder: Path) -> list[tuple[int, str]]:
    path = folder / "modules.json"
    if not path.is_file():
        return []
    types = [str(module.get("type", "")) for module in _listed(path)]
    return [(number, name) for number, name in enumerate(types) if not name.startswith("sentence_transformers.")]


def _listed(path: Path) -> list[dict[str, Any]]:
    """Return what a modules.json lists.

    Raises:
        ConversionError: it is no list of modules.
    """
    modules = read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ConversionError(f"{path}: expected a list of objects, a module each; restore the file")
    return modules
