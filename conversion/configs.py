"""Turn a family's config into TriEmbed's and back, by the rules of the family's table.

A key of the family that no rule names is an error, and so is a choice of the TriEmbed model that no rule can express.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from hf_embeddings.conversion.rules import CARRIED_KEYS, LIBRARY_KEYS, Config, ConfigRule, ConversionError, Family, Head
from hf_embeddings.model.configuration_triembed import TriEmbedConfig


def rules_of(family: Family, head: Head) -> tuple[ConfigRule, ...]:
    """Return the family's rules, with those of the head in place of the ones that set the same fields."""
    own = {target for rule in head.config for target in rule.targets}
    return (*(rule for rule in family.config if not own.intersection(rule.targets)), *head.config)


def to_triembed(config: Config, family: Family, head: Head, *, ignore: tuple[str, ...] = ()) -> TriEmbedConfig:
    """Return the config of the TriEmbed model that equals `head` of the family.

    Args:
        config: the family's config.json.
        family: its table.
        head: its task model.
        ignore: keys known to change nothing, which no rule names.

    Raises:
        ConversionError: a key that no rule names, or a value that TriEmbed cannot hold.
    """
    rules = rules_of(family, head)
    known_keys = {key for rule in (*family.config, *rules) for key in rule.sources}
    for key in config:
        if key not in known_keys and key not in LIBRARY_KEYS and key not in CARRIED_KEYS and key not in ignore:
            close = difflib.get_close_matches(key, known_keys, n=1)
            raise ConversionError(
                f"config: no rule for {key!r} ({config[key]!r}) of {family.name}"
                + (f"; did you mean {close[0]!r}?" if close else "")
                + "; if it changes no output, give --ignore-key "
                + key
            )
    fields: Config = {}
    with _ours():
        for rule in rules:
            fields |= rule.forward(config)
    fields |= {key: config[key] for key in CARRIED_KEYS if key in config and key not in fields}
    if "num_labels" in config and "id2label" not in fields:
        fields["num_labels"] = config["num_labels"]
    return make_config(fields)


def make_config(fields: Config) -> TriEmbedConfig:
    """Return the config with these fields.

    Raises:
        ConversionError: they contradict each other, or are of wrong types.
    """
    with _ours():
        return TriEmbedConfig(**fields)


@contextmanager
def _ours() -> Iterator[None]:
    """Turn whatever a config of wrong types or values provokes into one line."""
    try:
        yield
    except ConversionError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, StrictDataclassError) as error:
        raise ConversionError(f"config: {' '.join(str(error).split())}") from None


def from_triembed(config: TriEmbedConfig, family: Family, head: Head) -> Config:
    """Return the family's config for a TriEmbed model.

    Raises:
        ConversionError: the model makes a choice that the family cannot hold.
    """
    rules = rules_of(family, head)
    labels = {key: getattr(config, key, None) for key in CARRIED_KEYS}
    values = fields_of(config) | labels
    result: Config = {"model_type": family.model_type} | family.written
    for rule in rules:
        result |= rule.backward(values)
    target_names = {target for rule in rules for target in rule.targets}
    for name, value in values.items():
        if name not in target_names and name not in labels and value != (default := DEFAULTS.get(name)):
            raise ConversionError(f"{family.name} cannot hold {name} {value!r}; it can hold {default!r} only")
    # Labels that are merely numbered are left to the default of whoever reads the config.
    settings = config.to_diff_dict()
    return result | {key: settings[key] for key in labels if key not in target_names and settings.get(key) is not None}


def fields_of(config: TriEmbedConfig) -> Config:
    """Return the fields that TriEmbedConfig adds to those of every config; `rope_parameters` where the model has it."""
    names = [name for name in TriEmbedConfig.__dataclass_fields__ if name in DEFAULTS]
    return {name: getattr(config, name) for name in [*names, "rope_parameters"] if hasattr(config, name)}


DEFAULTS: Config = {
    name: spec.default
    for name, spec in TriEmbedConfig.__dataclass_fields__.items()
    if name not in PreTrainedConfig.__dataclass_fields__
}
