"""Which class of sentence-transformers reads a directory: it says so in files of its own, or in config.json."""

import json
from pathlib import Path
from typing import Any

RERANKER = "CrossEncoder"
CLASSES = ("SentenceTransformer", RERANKER, "SparseEncoder")
OF_A_RERANKER = ("sentence_transformers", "sbert_ce_default_activation_function")  # keys of config.json, before 5.4


def sentence_class(folder: Path) -> str | None:
    """Return the name of the class, None where a directory says nothing of sentence-transformers."""
    if any(_read(folder / "config.json").get(key) for key in OF_A_RERANKER):
        return RERANKER
    if not (folder / "modules.json").is_file():
        return None
    named = _read(folder / "config_sentence_transformers.json").get("model_type")
    return named if named in CLASSES else CLASSES[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what it cannot read, it does not say; whoever needs the file refuses it
        return {}
    return value if isinstance(value, dict) else {}
