"""Files that travel with the weights: tokenizers, and the modules of a sentence-transformers directory."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from hf_embeddings.conversion.checkpoints import read_json
from hf_embeddings.conversion.rules import Config, ConversionError

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "bpe.codes", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model",
)  # fmt: skip
SENTENCE_FILES = (
    "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "sentence_roberta_config.json",
    "sentence_distilbert_config.json", "sentence_camembert_config.json", "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)  # fmt: skip


def copy_companions(source: Path, target: Path, *, config: Config, tokenizer_class: str, segments: bool) -> list[str]:
    """Copy what a tokenizer and SentenceTransformer need; return the names that were copied.

    A `tokenizer_config.json` that leaves its class to the model gets the class written out, because the model changes.

    Args:
        source: the directory that is converted.
        target: the directory to write.
        config: the source's config.json, which may name the class of the tokenizer.
        tokenizer_class: the class where neither it nor `tokenizer_config.json` does: that of the family.
        segments: whether the converted model has segments; if not, the tokenizer is told to return none.

    Raises:
        ConversionError: modules.json names a path outside the directory, or a file names modules of the source's class.
    """
    _refuse_module_names(source)
    copied = []
    for name in (*TOKENIZER_FILES, *SENTENCE_FILES):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
            copied.append(name)
    for part in _module_folders(source):
        shutil.copytree(source / part, target / part, symlinks=False)
        copied.append(f"{part}/")
    if has_tokenizer(copied):
        path = target / "tokenizer_config.json"
        settings = read_json(path) if path.exists() else {}
        whole = {"tokenizer_class": config.get("tokenizer_class") or tokenizer_class} | settings
        if not segments:
            whole["model_input_names"] = ["input_ids", "attention_mask"]
        if whole != settings:
            text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8", newline="\n")
    return copied


def has_tokenizer(copied: Collection[str]) -> bool:
    """Tell whether files of a tokenizer are among those that were copied."""
    return not set(TOKENIZER_FILES).isdisjoint(copied)


def _refuse_module_names(source: Path) -> None:
    """Raise where a setting of sentence-transformers speaks of layers by the names that only the source has."""
    path = source / "config_sentence_transformers.json"
    if path.is_file() and (named := read_json(path).get("keep_in_fp32_modules")):
        raise ConversionError(
            f"{path}: keep_in_fp32_modules names {named}, layers that are called otherwise after the conversion; "
            "remove the key, and set it again on the converted model"
        )


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
