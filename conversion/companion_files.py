"""Files that travel with the weights: tokenizers, and the modules of a sentence-transformers directory."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from hf_embeddings.conversion.checkpoints import read_json_object
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.sentence_modules import copy_module, has_own_encoder, put_on_top
from hf_embeddings.files.links import refuse_links_out
from hf_embeddings.loading.sentence_models import SENTENCE_FILES, module_folders

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "bpe.codes", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model",
)  # fmt: skip


def copy_companions(
    source: Path,
    target: Path,
    *,
    tokenizer_class: str,
    segments: bool = True,
    encoder: Path | None = None,
    allow_pickle: bool = False,
) -> list[str]:
    """Copy what a tokenizer and SentenceTransformer need; return the names that were copied.

    A `tokenizer_config.json` that leaves its class to the model gets the class written out, because the model changes.

    Args:
        source: the directory that is converted.
        target: the directory to write.
        tokenizer_class: the class where neither config.json nor `tokenizer_config.json` names one: that of the family.
        segments: whether the converted model has segments; if not, the tokenizer is told to return none.
        encoder: where the encoder lies, if not in `source` itself; in `target`, its files lie on top.
        allow_pickle: read the weights of a module that has them as a pickle only.

    Raises:
        ConversionError: modules.json names a path outside the directory, or a file names modules of the source's class.
        ValueError: what would be copied is a link out of the directory.
    """
    encoder = encoder or source
    _refuse_module_names(source)
    parts = _module_folders(source)
    refuse_links_out(source, (*SENTENCE_FILES, *parts))
    refuse_links_out(encoder, (*TOKENIZER_FILES, *SENTENCE_FILES))
    copied_names = []
    for folder, names in ((source, SENTENCE_FILES), (encoder, (*TOKENIZER_FILES, *SENTENCE_FILES))):
        for name in names:
            if (folder / name).is_file() and name not in copied_names:
                shutil.copyfile(folder / name, target / name)
                copied_names.append(name)
    for part in parts:
        copy_module(source / part, target / part, allow_pickle=allow_pickle)
        copied_names.append(f"{part}/")
    if encoder != source or has_own_encoder(source):
        put_on_top(target / "modules.json")
    if has_tokenizer(copied_names):
        _complete_settings(encoder, target / "tokenizer_config.json", tokenizer_class, segments=segments)
    return copied_names


def _complete_settings(encoder: Path, path: Path, tokenizer_class: str, *, segments: bool) -> None:
    settings = read_json_object(path) if path.exists() else {}
    config = read_json_object(encoder / "config.json") if (encoder / "config.json").is_file() else {}
    whole = {"tokenizer_class": config.get("tokenizer_class") or tokenizer_class} | settings
    whole.pop("auto_map", None)  # it points to code, which is not copied
    if not segments:
        whole["model_input_names"] = ["input_ids", "attention_mask"]
    if whole != settings:
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def has_tokenizer(names: Collection[str]) -> bool:
    """Tell whether files of a tokenizer are among those that were copied."""
    return not set(TOKENIZER_FILES).isdisjoint(names)


def _refuse_module_names(source: Path) -> None:
    """Raise where a setting of sentence-transformers speaks of layers by the names that only the source has."""
    path = source / "config_sentence_transformers.json"
    if path.is_file() and (names := read_json_object(path).get("keep_in_fp32_modules")):
        raise ConversionError(
            f"{path}: keep_in_fp32_modules names {names}, layers that the conversion renames; "
            "remove the key, and set it again on the converted model"
        )


def _module_folders(source: Path) -> list[str]:
    try:
        return module_folders(source)
    except ValueError as error:
        raise ConversionError(str(error)) from None
