"""Files that travel with the weights: tokenizers, and the modules of a sentence-transformers directory."""

import json
import shutil
from pathlib import Path

from hf_embeddings.conversion.checkpoints import read_json
from hf_embeddings.conversion.rules import ConversionError

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "bpe.codes", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model",
)  # fmt: skip
SENTENCE_FILES = (
    "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "sentence_roberta_config.json",
    "sentence_distilbert_config.json", "sentence_camembert_config.json", "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)  # fmt: skip


def copy_companions(source: Path, target: Path, *, tokenizer_class: str) -> list[str]:
    """Copy what a tokenizer and SentenceTransformer need; return the names that were copied.

    A `tokenizer_config.json` that leaves its class to the model type gets the class written out, because the model type
    changes.

    Raises:
        ConversionError: modules.json names a path outside the directory.
    """
    copied = []
    for name in (*TOKENIZER_FILES, *SENTENCE_FILES):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
            copied.append(name)
    for part in _module_folders(source):
        shutil.copytree(source / part, target / part, symlinks=False)
        copied.append(f"{part}/")
    if any(name in copied for name in TOKENIZER_FILES):
        path = target / "tokenizer_config.json"
        settings = read_json(path) if path.exists() else {}
        if "tokenizer_class" not in settings:
            path.write_text(
                json.dumps(settings | {"tokenizer_class": tokenizer_class}, indent=2) + "\n",
                encoding="utf-8",
                newline="\n",
            )
    return copied


def _module_folders(source: Path) -> list[str]:
    path = source / "modules.json"
    if not path.is_file():
        return []
    try:
        folders = [str(module.get("path", "")) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, AttributeError, TypeError) as error:
        raise ConversionError(f"{path}: no list of modules ({error})") from None
    for folder in folders:
        inside = (source / folder).resolve()
        if not inside.is_relative_to(source.resolve()) or Path(folder).is_absolute():
            raise ConversionError(f"{path}: the module path {folder!r} leaves the directory")
    # An empty path is the transformer itself; a module without settings, such as Normalize, often has no directory.
    return [folder for folder in folders if folder and (source / folder).is_dir()]
