"""Weights that a checkpoint holds and a model does not read: which may be left out, and which need the user's word.

What the family itself says of a name decides. It may be left out if the reference class has nothing of this name under
this config, and the name belongs to another class of the family, to a part that this config leaves out, or to a buffer.
Weights of a layer, and names that no class of the family has, may be part of another model: nothing is guessed of them.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedModel

from hf_embeddings.conversion.checkpoints import TensorHeader
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.plan import rule_covers
from hf_embeddings.loading.messages import quiet_loading

LAYER_NUMBER = re.compile(r"\.\d+\.")
BUFFERS = ("position_ids", "token_type_ids", "inv_freq", "original_inv_freq")  # counted or computed, never trained


def is_known(name: str, header: TensorHeader, family: Family) -> bool:
    """Tell whether a weight may be left out where the class that is converted does not read it."""
    bare = name.removeprefix(f"{family.prefix}.")
    if name.rpartition(".")[2] in BUFFERS or any(fnmatch(bare, pattern) for pattern in family.unread):
        return True
    if LAYER_NUMBER.search(name) or header.dtype is None:
        return False
    rules = [rule for rule in family.encoder if "{}" not in rule.sources[0]]
    heads = [rule for head in family.heads.values() for rule in head.weights]
    seconds = {second for head in family.heads.values() for second in head.same}
    if any(rule_covers(rule, bare) for rule in rules) or any(rule_covers(rule, name) for rule in heads):
        return True
    return name in seconds or _reference_knows(name, (family.today_as or family).model_type)


def is_of_encoder(name: str, family: Family) -> bool:
    """Tell whether a weight stands inside the encoder, not in a head."""
    return name.startswith(f"{family.prefix}.")


def matches_weight(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether one of the user's patterns names a weight, as the file calls it."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def pattern_for(extra: Iterable[str], names: Iterable[str]) -> str:
    """Return the pattern that drops the first of some extra names with what stands beside it, and nothing else."""
    extra = sorted(extra)
    others = set(names).difference(extra)
    parts = extra[0].split(".")
    for count in range(1, len(parts)):
        start = ".".join(parts[:count]) + "."
        if not any(name.startswith(start) for name in others):
            return f"{start}*"
    return extra[0]


def _reference_knows(name: str, model_type: str) -> bool:
    """Tell whether some class of transformers for this family has the name, or says that it is to be ignored."""
    classes = _reference_classes(model_type)
    ignored = (pattern for each in classes for pattern in each._keys_to_ignore_on_load_unexpected or ())
    return any(re.search(pattern, name) for pattern in ignored) or name in _reference_names(model_type)


@lru_cache
def _reference_names(model_type: str) -> frozenset[str]:
    """Return the names of all weights of a tiny model of each class, with each switch of the config on and off."""
    names: set[str] = set()
    sizes: dict[str, Any] = {
        "num_hidden_layers": 1,
        "vocab_size": 8,
        "hidden_size": 8,
        "num_attention_heads": 1,
        "pad_token_id": 0,
    }
    config_class = CONFIG_MAPPING[model_type]
    fields = config_class.__dataclass_fields__.values()
    switches: list[dict[str, Any]] = [
        {spec.name: not spec.default} for spec in fields if isinstance(spec.default, bool)
    ]
    for each in _reference_classes(model_type):
        for switch in ({}, *switches):
            try:
                with torch.device("meta"), quiet_loading():
                    names.update(each(config_class(**sizes, **switch)).state_dict())
            except Exception:  # a class that cannot be built so knows nothing
                continue
    return frozenset(names)


@lru_cache
def _reference_classes(model_type: str) -> tuple[type[PreTrainedModel], ...]:
    if model_type not in CONFIG_MAPPING:
        return ()
    start = CONFIG_MAPPING[model_type].__name__.removesuffix("Config")
    names = [name for name in dir(transformers) if re.fullmatch(rf"{start}(Model|For\w+)", name)]
    classes = (getattr(transformers, name) for name in names)
    return tuple(each for each in classes if hasattr(each, "_keys_to_ignore_on_load_unexpected"))
