"""What a checkpoint may lack or hold beyond a model: heads as a whole, and what the caller asked for. All is named."""

import os
import re
from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedModel
from transformers.utils import logging

from .configuration_triembed import AUTO_MAP

logger = logging.get_logger(__name__)

# Modules of our task models; others are heads of the user's own, if they do not belong to an encoder.
TASK_MODULES = ("pooler", "predictions", "seq_relationship", "transform", "classifier", "qa_outputs", "heads")
ENCODER_PARTS = ("embeddings", "layers", "final_norm")
OUR_MODELS = {path.split(".")[1] for path in AUTO_MAP.values()} | {"TriEmbedForMultiTask"}
LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


def check_loaded(
    model: PreTrainedModel,
    source: str | os.PathLike[str] | None,
    info: dict[str, Any],
    *,
    missing_allowed: bool,
    place: dict[str, Any],
) -> None:
    """Set `model.new_modules`, and refuse a checkpoint that does not belong to the model.

    Args:
        model: as `from_pretrained` made it.
        source: where the checkpoint is.
        info: of `from_pretrained`: missing and unexpected weights.
        missing_allowed: the caller wants what is missing to begin random.
        place: arguments of `from_pretrained` that say where its config.json is.

    Raises:
        ValueError: weights of the encoder or a part of a head are missing, or the model has no place for some.
    """
    encoders = _encoders(model)
    missing, unexpected = info["missing_keys"], info["unexpected_keys"]
    lacking = sorted(key for key in missing if _head(key, encoders) is None) + _torn_heads(model, missing, encoders)
    if lacking and missing_allowed:
        logger.warning(f"{source}: {_shown(lacking)} are not in the checkpoint and begin random, as asked for")
    elif lacking:
        cure = _misplaced(model, encoders) or (
            "they would be random; check that config.json belongs to these weights, or give allow_missing_weights=True"
        )
        raise ValueError(f"{source}: missing weights for {type(model).__name__}: {_shown(lacking)}; {cure}")
    foreign = not OUR_MODELS.issuperset(model.config.architectures or ())  # the checkpoint is of a head that we lack
    surplus = [key for key in unexpected if _head(key, encoders) is None or not (_is_ours(key) or foreign)]
    beyond = [key for key in surplus if _beyond(key, model.config.num_hidden_layers)]
    left_out = beyond if beyond and source is not None and _asks_for_fewer(model, source, place) else []
    if surplus := sorted(set(surplus) - set(left_out)):
        cure = "convert the checkpoint, or check that config.json belongs to these weights"
        raise ValueError(f"{source}: unexpected weights for {type(model).__name__}: {_shown(surplus)}; {cure}")
    left_out = sorted(left_out) + sorted(key for key in unexpected if not _is_ours(key) and key not in left_out)
    if left_out:
        logger.warning(f"{source}: {_shown(left_out)} are left out: {type(model).__name__} has no place for them")
    names = {_head(key, encoders) for key in missing}
    vars(model)["new_modules"] = tuple(sorted(filter(None, names)))  # an attribute of TriEmbed's classes only


def _encoders(model: PreTrainedModel) -> list[str]:
    """Return the names, each with its dot, of the modules that are encoders; "" where the model is one itself."""
    # By name of the class: the code may come from the package for one, and from beside a checkpoint for the other.
    names = [n for n, m in model.named_modules() if "TriEmbedModel" in {base.__name__ for base in type(m).__mro__}]
    return [f"{name}." if name else "" for name in names]


def _head(key: str, encoders: list[str]) -> str | None:
    """Return the head that a weight belongs to, None for a weight of an encoder."""
    parts = key.split(".")
    place = next((index for index, part in enumerate(parts) if part in TASK_MODULES), None)
    if place is not None:
        return ".".join(parts[: place + (2 if parts[place] == "heads" else 1)])  # `heads` has one for each task
    within = any(prefix and key.startswith(prefix) for prefix in encoders)
    return None if within or parts[0] in ENCODER_PARTS else parts[0]


def _is_ours(key: str) -> bool:
    return any(part in TASK_MODULES for part in key.split("."))


def _torn_heads(model: PreTrainedModel, missing: Iterable[str], encoders: list[str]) -> list[str]:
    """Return the missing weights of heads of which the checkpoint holds a part."""
    missing = set(missing)
    tied = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
    partial_heads = {_head(name, encoders) for name, _ in model.named_parameters() if name not in missing | tied}
    return sorted(key for key in missing - tied if _head(key, encoders) in partial_heads - {None})


def _beyond(key: str, layers: int) -> bool:
    match = LAYER.search(key)
    return match is not None and int(match[1]) >= layers


def _asks_for_fewer(model: PreTrainedModel, source: str | os.PathLike[str], place: dict[str, Any]) -> bool:
    """Tell whether the caller asked for fewer layers than the config.json of the checkpoint has."""
    config_dict, _ = type(model.config).get_config_dict(source, **place)
    return config_dict.get("num_hidden_layers", 0) > model.config.num_hidden_layers


def _misplaced(model: PreTrainedModel, encoders: list[str]) -> str | None:
    """Say what to do where the encoder has another name than in checkpoints."""
    name = model.base_model_prefix
    if not encoders or {"", f"{name}."} & set(encoders):
        return None
    return f"the encoder is called {encoders[0].rstrip('.')!r}; call it self.{name}, as checkpoints do"


def _shown(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
