"""What engines read beside an ONNX graph: config, tokenizer and the files of sentence-transformers, in forms all read.

The library's page "Serve elsewhere" says which engine reads which key.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from hf_embeddings.exporting.sentence_modules import SentenceModules, VectorModule
from hf_embeddings.files.reading import read_object
from hf_embeddings.loading.pooling_files import OLD_TYPES, pooling_settings
from hf_embeddings.loading.sentence_models import OF_A_RERANKER
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

STAND_IN = "bert"  # engines ask for a model type that they know; without weights beside it, it loads as no model
_OF_BERT = (  # keys of a BERT config that TriEmbed's has, too
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "max_position_embeddings", "layer_norm_eps", "initializer_range",
)  # fmt: skip
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_OF_BERTS_TOKENIZER = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


def write_json(path: Path, content: object) -> None:
    """Write an object as every engine reads it."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def engine_config(source: Path, config: PreTrainedConfig, ending: str, *, external: dict[str, int]) -> dict[str, Any]:
    """Return the config.json for engines.

    Args:
        source: the directory of the model.
        config: of it.
        ending: of the name of the class that was exported, such as "ForSequenceClassification".
        external: files of the graph whose weights lie apart, and in how many files.
    """
    written = read_object(source / "config.json")
    if isinstance(config, TriEmbedConfig):
        content = {name: getattr(config, name) for name in _OF_BERT}
        content |= {"model_type": STAND_IN, "architectures": [f"Bert{ending or 'Model'}"]}
        content["type_vocab_size"] = max(config.type_vocab_size, 1)
        content["exported_from"] = {
            "model_type": config.model_type,
            "position_embedding_type": config.position_embedding_type,
        }
        content |= {key: written[key] for key in OF_A_RERANKER if key in written}
    else:
        content = {key: value for key, value in written.items() if key != "auto_map"}
    content["pad_token_id"] = config.pad_token_id if config.pad_token_id is not None else 0
    content.pop("eos_token_id", None)  # a list in some configs, which text-embeddings-inference refuses
    content["dtype"] = content["torch_dtype"] = "float32"  # of what goes in and out
    if ending.endswith("Classification"):
        # transformers leaves two labels without names out of a config.json.
        content["id2label"] = {str(number): name for number, name in (config.id2label or {}).items()}
        content["label2id"] = {name: int(number) for number, name in (config.id2label or {}).items()}
        content |= {"problem_type": config.problem_type} if config.problem_type else {}
    if external:
        content["transformers.js_config"] = {"use_external_data_format": external}
    return content


def write_tokenizer(
    target: Path, tokenizer: PreTrainedTokenizerBase, *, max_length: int, segments: bool, source: Path
) -> None:
    """Write a tokenizer that cuts and pads by itself, and its settings for those that do so again.

    Args:
        target: the directory.
        tokenizer: a fast one that cuts at `max_length` and pads.
        max_length: tokens with the special ones.
        segments: whether the graph takes them.
        source: the directory of the model.
    """
    backend = tokenizer.backend_tokenizer
    backend.save(str(target / "tokenizer.json"))
    path = source / "tokenizer_config.json"
    written = read_object(path) if path.is_file() else {}
    special = {name: str(token) for name in _SPECIAL if (token := getattr(tokenizer, name, None)) is not None}
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # tokenizer.json as it is, in every release of every engine
        "model_max_length": max_length,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "model_input_names": ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special,
    }
    normalizer = json.loads(backend.to_str()).get("normalizer") or {}
    if segments and type(tokenizer).__name__.startswith("BertTokenizer") and normalizer.get("type") == "BertNormalizer":
        settings["tokenizer_class"] = "BertTokenizer"  # transformers.js returns segments for classes of this name only
        settings |= {key: written[key] for key in _OF_BERTS_TOKENIZER if key in written}
        settings |= {
            "do_lower_case": normalizer["lowercase"],
            "strip_accents": normalizer["strip_accents"],
            "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
        }
    write_json(target / "tokenizer_config.json", settings)
    write_json(target / "special_tokens_map.json", special)


def write_sentence_files(target: Path, modules: SentenceModules, *, width: int, max_length: int) -> None:
    """Write the files of sentence-transformers in the forms that old and new releases and other engines read.

    Args:
        target: the directory.
        modules: what stands between hidden states and vectors.
        width: of the hidden states.
        max_length: tokens with the special ones.
    """
    entries = [_entry(0, "Transformer", ""), _entry(1, "Pooling", "1_Pooling")]
    (target / "1_Pooling").mkdir()
    settings = pooling_settings(modules.poolings, width, include_prompt=modules.include_prompt)
    write_json(target / "1_Pooling" / "config.json", settings)
    for number, step in enumerate(modules.steps, start=2):
        entries.append(_entry(number, step.kind, f"{number}_{step.kind}"))
        _write_step(target / f"{number}_{step.kind}", step)
    write_json(target / "modules.json", entries)
    write_json(target / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": modules.lowercase})
    settings = {key: value for key, value in modules.settings.items() if value is not None and key != "model_type"}
    write_json(target / "config_sentence_transformers.json", settings | {"prompts": modules.prompts})


def _entry(number: int, kind: str, path: str) -> dict[str, Any]:
    return {"idx": number, "name": str(number), "path": path, "type": f"{OLD_TYPES}{kind}"}


def _write_step(folder: Path, step: VectorModule) -> None:
    if step.source is None:  # nothing to state, as of Normalize
        return
    folder.mkdir()
    # Keys of newer releases at their only value that is done here would stop older ones.
    newer = ("module_input_name", "module_output_name", "use_residual")
    write_json(folder / "config.json", {key: value for key, value in step.settings.items() if key not in newer})
    if (step.source / "model.safetensors").is_file():
        shutil.copyfile(step.source / "model.safetensors", folder / "model.safetensors")
