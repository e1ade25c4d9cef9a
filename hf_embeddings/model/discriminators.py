"""Checkpoints of discriminators (ELECTRA, https://arxiv.org/abs/2003.10555): a token classifier with one label.

Their head tells whether a token was replaced. It is no start for a classifier of a user's, and predicts no tokens.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .compat import PreTrainedConfig

REPLACED = "REPLACED"  # the one label
CLASS = "TriEmbedForTokenClassification"
HEAD = ("transform", "classifier")


def stored_config(config_class: type[PreTrainedConfig], source: Any, place: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the mapping of the config.json of a checkpoint, empty where there is none.

    Args:
        config_class: that reads it.
        source: directory or id.
        place: arguments of `from_pretrained` that say where a config.json is.
    """
    if source is None:
        return {}
    try:
        return dict(config_class.get_config_dict(source, **place)[0])
    except OSError:  # the caller gives a config
        return {}


def is_discriminator(config: Mapping[str, Any]) -> bool:
    """Tell whether the mapping of a config.json is that of a discriminator."""
    labels = config.get("id2label")
    return config.get("architectures") == [CLASS] and labels in ({"0": REPLACED}, {0: REPLACED})


def leaves_head(stored: Mapping[str, Any], model_class: str, asked: Mapping[str, Any]) -> bool:
    """Tell whether a model has another head than the discriminator that it is loaded from.

    Args:
        stored: the mapping of the config.json.
        model_class: of the model to load.
        asked: arguments of `from_pretrained`.
    """
    config = asked.get("config")
    labels = config.id2label if isinstance(config, PreTrainedConfig) else stored.get("id2label")
    is_asked = asked.keys().isdisjoint(("num_labels", "id2label"))
    wanted = {"architectures": [model_class], "id2label": labels}
    return is_discriminator(stored) and not (is_asked and is_discriminator(wanted))


@torch.no_grad()
def restart_head(model: PreTrainedModel, info: dict[str, Any], source: object, *, strict: bool) -> None:
    """Let a head that has the names of a discriminator's begin at random, and be named as missing.

    Args:
        model: as `from_pretrained` made it, whatever the sizes.
        info: of `from_pretrained`.
        source: where the checkpoint is.
        strict: whether other sizes must be those of the checkpoint.

    Raises:
        ValueError: another weight has another shape than in the checkpoint.
    """
    names = {name for name, _ in model.named_parameters() if name.split(".")[0] in HEAD}
    for name, stored, own in sorted(info["mismatched_keys"]):
        if strict and name not in names:
            raise ValueError(
                f"{source}: {name} has shape {tuple(stored)} in the checkpoint, expected {tuple(own)}; correct the "
                "field of the config that decides it"
            )
    info["missing_keys"] = {*info["missing_keys"], *names}
    info["mismatched_keys"] = {entry for entry in info["mismatched_keys"] if entry[0] not in names}
    for part in (getattr(model, name, None) for name in HEAD):
        for module in part.modules() if part is not None else ():
            if isinstance(module, nn.Linear) and module.weight.is_floating_point():
                module.weight.normal_(0.0, model.config.initializer_range)
                if module.bias is not None:
                    module.bias.zero_()


def refuse_prediction(source: object, config: Mapping[str, Any], new_modules: tuple[str, ...]) -> None:
    """Refuse the random prediction head of a masked language model that was loaded from a discriminator.

    Raises:
        ValueError: the head is new.
    """
    if is_discriminator(config) and "predictions" in new_modules:
        raise ValueError(
            f"{source}: holds a discriminator, which tells replaced tokens and predicts none, expected a masked "
            f"language model; load its generator ({source}/generator, if it was kept), or give "
            "allow_missing_weights=True for a new head"
        )
