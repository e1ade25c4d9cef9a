"""The recipe that a model directory states in files of sentence-transformers; any other directory gets the defaults.

What is stated is honoured or refused by name, an unknown key too: a vector of another recipe looks right and ranks
wrongly. Keys are those that sentence-transformers reads and wrote, up to 6.2.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hf_embeddings.files.reading import read_json
from hf_embeddings.json_text import json_kind
from hf_embeddings.loading.sentence_models import MODULES, TRANSFORMER_FILES
from hf_embeddings.search.pooling import POOLINGS
from hf_embeddings.search.recipe import Recipe

SETTINGS = "config_sentence_transformers.json"
PIPELINES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
STATIC = (["StaticEmbedding"], ["StaticEmbedding", "Normalize"])

_POOLING_MODES = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}  # of the older Pooling files
_TEXT_ONLY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}


class Only(NamedTuple):
    """A key that must have one of some values, as nothing else can be honoured."""

    values: tuple[object, ...]


class Arguments(NamedTuple):
    """A key that holds arguments for loading: those named change no vector, others are refused."""

    names: tuple[str, ...]


ANY = object()  # a key that changes no vector, or that is read below
EMPTY = Only((None, {}, []))
_LOADING = Arguments(("add_pooling_layer", "attn_implementation", "dtype", "torch_dtype", "trust_remote_code"))

Rules = Mapping[str, object]
MODULE_KEYS: Rules = {"idx": ANY, "name": ANY, "path": ANY, "type": ANY, "kwargs": EMPTY}
TRANSFORMER_KEYS: Rules = {
    "max_seq_length": ANY,
    "do_lower_case": ANY,
    "unpad_inputs": ANY,
    "transformer_task": Only(("feature-extraction",)),
    "modality_config": Only((_TEXT_ONLY,)),
    "module_output_name": Only(("token_embeddings",)),
    "processing_kwargs": EMPTY,
    "query_length": EMPTY,
    "document_length": EMPTY,
    "query_expansion": EMPTY,
    "tokenizer_name_or_path": EMPTY,
    "model_args": _LOADING,
    "model_kwargs": _LOADING,
    "tokenizer_args": EMPTY,
    "processor_kwargs": EMPTY,
    "config_args": EMPTY,
    "config_kwargs": EMPTY,
}
POOLING_KEYS: Rules = {
    "word_embedding_dimension": ANY,
    "embedding_dimension": ANY,
    "pooling_mode": ANY,
    "include_prompt": ANY,
    **{f"pooling_mode_{name}": ANY for name in (*_POOLING_MODES, "mean_sqrt_len_tokens", "weightedmean_tokens")},
    "pooling_mode_lasttoken": ANY,
}
NORMALIZE_KEYS: Rules = {
    "module_input_name": Only(("sentence_embedding",)),
    "module_output_name": Only((None, "sentence_embedding")),
}
SETTINGS_KEYS: Rules = {
    "__version__": ANY,
    "model_type": Only((None, "SentenceTransformer")),
    "prompts": ANY,
    "default_prompt_name": ANY,
    "similarity_fn_name": ANY,
    "truncate_dim": ANY,
    "requirements": EMPTY,
}


def read_recipe(folder: Path, *, dense: bool = False) -> Recipe:
    """Read the recipe of a model directory.

    Args:
        folder: the directory.
        dense: whether the caller applies linear maps of pooled vectors (`dense_folders`); else they are refused.

    Raises:
        ValueError: a file states something that is not known here, or known and not done.
    """
    if not (folder / MODULES).is_file():
        return Recipe()
    modules = _module_folders(folder, dense=dense)
    transformer: dict[str, Any] = {}
    pooling: dict[str, Any] = {}
    if "Pooling" in modules:  # else a table of rows for tokens, whose mean is the vector
        transformer = next(
            (content for name in TRANSFORMER_FILES if (content := read_checked(folder / name, TRANSFORMER_KEYS))), {}
        )
        pooling = read_checked(modules["Pooling"] / "config.json", POOLING_KEYS)
        if not pooling:
            raise ValueError(
                f"{modules['Pooling'] / 'config.json'}: missing or empty, expected the pooling of the model, which "
                f"{MODULES} names; copy the directory with its folders"
            )
    if "Normalize" in modules:
        read_checked(modules["Normalize"] / "config.json", NORMALIZE_KEYS)
    settings = read_checked(folder / SETTINGS, SETTINGS_KEYS)
    try:
        return Recipe(
            pooling=_pooling(modules["Pooling"] / "config.json", pooling) if pooling else "mean",
            normalize="Normalize" in modules,
            dimension=settings.get("truncate_dim"),
            max_length=transformer.get("max_seq_length"),
            lowercase=bool(transformer.get("do_lower_case")),
            prompts={name: prompt for name, prompt in (settings.get("prompts") or {}).items() if prompt is not None},
            default_prompt=settings.get("default_prompt_name"),
            include_prompt=bool(pooling.get("include_prompt", True)),
            similarity=settings.get("similarity_fn_name") or "cosine",
        )
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{folder}: its files for sentence-transformers do not make a recipe ({error})") from None


def dense_folders(folder: Path) -> list[Path]:
    """Return the directories of the linear maps of pooled vectors, in their order; none where there are none."""
    if not (folder / MODULES).is_file():
        return []
    return [folder / path for kind, path in module_list(folder, lambda kinds: True, "") if kind == "Dense"]


def recipe_folder(name: str) -> Path | None:
    """Return a directory with the recipe of a Hub id, from the cache where there is no network; None without any.

    Raises:
        ValueError: as `read_recipe`; or there is neither a network, nor the recipe in the cache.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        hf_hub_download(name, MODULES)
    except LocalEntryNotFoundError:
        raise ValueError(
            f"{name}: the Hub cannot be asked how its texts are to be encoded ({MODULES}); try again with a network, "
            "or give a directory"
        ) from None
    except EntryNotFoundError:
        return None
    patterns = [MODULES, SETTINGS, *TRANSFORMER_FILES, *(f"*_{module}/config.json" for module in PIPELINES[-1])]
    return Path(snapshot_download(name, allow_patterns=[*patterns, "*_Dense/*"]))


def module_list(folder: Path, is_known: Callable[[list[str]], bool], expected: str) -> list[tuple[str, str]]:
    """Return the modules of sentence-transformers that a directory has: the last part of the type, and the path.

    Args:
        folder: a directory with a modules.json.
        is_known: tells whether the types are those that can be read.
        expected: what to say if they are not.
    """
    path = folder / MODULES
    modules = read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ValueError(f"{path}: expected a list of objects, a module each; restore the file")
    for module in modules:
        check_keys(path, module, MODULE_KEYS)
    types = [str(module.get("type")) for module in modules]
    names = [name.rsplit(".", 1)[-1] for name in types]
    if not is_known(names) or not all(name.startswith("sentence_transformers.") for name in types):
        raise ValueError(f"{path}: got the modules {', '.join(types) or 'none'}, expected {expected}")
    return [(name, str(module.get("path") or "")) for name, module in zip(names, modules, strict=True)]


def _module_folders(folder: Path, *, dense: bool) -> dict[str, Path]:
    """Return the folders of the modules by the last part of their type."""
    modules = module_list(
        folder,
        lambda names: (_without_dense(names) if dense else names) in (*PIPELINES, *STATIC),
        "Transformer and Pooling, or StaticEmbedding, and then perhaps Normalize of sentence-transformers; encode with "
        "sentence-transformers",
    )
    if modules[0][1] not in ("", "."):
        raise ValueError(
            f"{folder / MODULES}: got its first module in {modules[0][1]!r}, expected it at the top; move its files "
            'there, and write "path": ""'
        )
    return {name: folder / place for name, place in modules}


def _without_dense(names: list[str]) -> list[str]:
    """Return the modules without the linear maps that follow the pooling."""
    while names[:2] == PIPELINES[0] and names[2:3] == ["Dense"]:
        names = [*names[:2], *names[3:]]
    return names


def _pooling(path: Path, config: Mapping[str, Any]) -> str:
    names = config.get("pooling_mode")
    if names is None:
        flags = {key.removeprefix("pooling_mode_"): on for key, on in config.items() if key.startswith("pooling_mode_")}
        names = [_POOLING_MODES.get(name, name) for name, on in flags.items() if on] or ["mean"]
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != 1 or names[0] not in POOLINGS:
        raise ValueError(f"{path}: got pooling {' + '.join(names) or 'none'}, expected one of {', '.join(POOLINGS)}")
    return str(names[0])


def read_checked(path: Path, rules: Rules) -> dict[str, Any]:
    """Read an object whose keys must obey rules; nothing where there is no file."""
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: got {json_kind(content)}, expected an object; restore the file")
    check_keys(path, content, rules)
    return content


def check_keys(path: Path, content: Mapping[str, Any], rules: Rules) -> None:
    """Raise ValueError where a key of a file is not known, or holds what is not done."""
    advice = "encode with sentence-transformers, or remove the key"
    for key, value in content.items():
        rule = rules.get(key)
        if rule is None:
            raise ValueError(f"{path}: unknown key {key!r}, expected {', '.join(rules)}; {advice}")
        if isinstance(rule, Only) and value not in rule.values:
            choices = " or ".join(json.dumps(choices) for choices in rule.values)
            raise ValueError(f"{path}: {key} is {json.dumps(value)}, expected {choices}; {advice}")
        if isinstance(rule, Arguments) and (names := sorted(set(value or {}) - set(rule.names))):
            raise ValueError(f"{path}: {key} sets {', '.join(names)}, which is not done here; {advice}")
