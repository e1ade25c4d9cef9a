"""Directories of sentence-transformers: which of its classes reads one, and what it needs beside the encoder."""

import os
from pathlib import Path
from typing import Any

from hf_embeddings.files.reading import read_json

RERANKER = "CrossEncoder"
CLASSES = ("SentenceTransformer", RERANKER, "SparseEncoder")
OF_A_RERANKER = ("sentence_transformers", "sbert_ce_default_activation_function")  # keys of config.json, before 5.4
TRANSFORMER_FILES = tuple(  # settings of the encoder; the first that is there, and not empty, counts
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
SENTENCE_FILES = ("modules.json", "config_sentence_transformers.json", *TRANSFORMER_FILES)


def sentence_class(folder: Path) -> str | None:
    """Return the name of the class, None where a directory says nothing of sentence-transformers."""
    if any(_read(folder / "config.json").get(key) for key in OF_A_RERANKER):
        return RERANKER
    if not (folder / "modules.json").is_file():
        return None
    name = _read(folder / "config_sentence_transformers.json").get("model_type")
    return name if name in CLASSES else CLASSES[0]


def module_folders(folder: Path) -> list[str]:
    """Return the directories of the modules beside the encoder, such as `1_Pooling`.

    Raises:
        ValueError: modules.json is no list of modules, or names a path outside the directory.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        names = [str(module.get("path", "")) for module in read_json(path)]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: no list of modules ({error})") from None
    for name in names:
        inside = Path(os.path.realpath(folder / name))
        if not inside.is_relative_to(os.path.realpath(folder)) or Path(name).is_absolute():
            raise ValueError(f"{path}: the module path {name!r} leaves the directory")
    # An empty path is the transformer itself; a module without settings, such as Normalize, often has no directory.
    return [name for name in names if name and (folder / name).is_dir()]


def sentence_files(folder: Path) -> list[str]:
    """Return the paths, inside a directory, of all files that sentence-transformers needs beside the encoder.

    Raises:
        ValueError: as `module_folders`.
    """
    files = [name for name in SENTENCE_FILES if (folder / name).is_file()]
    for part in module_folders(folder):
        files += sorted(path.relative_to(folder).as_posix() for path in (folder / part).rglob("*") if path.is_file())
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ValueError):  # what it cannot read, it does not say; whoever needs the file refuses it
        return {}
    return value if isinstance(value, dict) else {}
