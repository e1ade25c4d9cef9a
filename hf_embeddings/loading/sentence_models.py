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
MODULES = "modules.json"
SENTENCE_FILES = (MODULES, "config_sentence_transformers.json", *TRANSFORMER_FILES)


def sentence_class(folder: Path) -> str | None:
    """Return the name of the class, None where a directory says nothing of sentence-transformers."""
    if any(_read(folder / "config.json").get(key) for key in OF_A_RERANKER):
        return RERANKER
    if not (folder / MODULES).is_file():
        return None
    name = _read(folder / "config_sentence_transformers.json").get("model_type")
    return name if name in CLASSES else CLASSES[0]


def encoder_folder(folder: Path) -> Path:
    """Return where config, weights and tokenizer lie: `0_Transformer/`, `0_BERT/` in directories before 2021.

    Raises:
        ValueError: as `module_folders`.
    """
    first = next(iter(_modules(folder)), {})
    name = str(first.get("path", ""))
    return folder / name if name and (folder / name / "config.json").is_file() else folder


def module_folders(folder: Path) -> list[str]:
    """Return the directories of the modules beside the encoder, such as `1_Pooling`.

    Raises:
        ValueError: modules.json is no list of modules, or names a path outside the directory.
    """
    names = [str(module.get("path", "")) for module in _modules(folder)]
    # An empty path is the transformer itself; a module without settings, such as Normalize, often has no directory.
    encoder = encoder_folder(folder)
    return [name for name in names if name and (folder / name).is_dir() and folder / name != encoder]


def _modules(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of modules.json, none where there is no such file."""
    path = folder / MODULES
    if not path.is_file():
        return []
    try:
        modules = read_json(path)
        names = [str(module.get("path", "")) for module in modules]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: no list of modules ({error})") from None
    for name in names:
        inside = Path(os.path.realpath(folder / name))
        if not inside.is_relative_to(os.path.realpath(folder)) or Path(name).is_absolute():
            raise ValueError(f"{path}: the module path {name!r} leaves the directory")
    return list(modules)


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
