"""Turn a family's config into TriEmbed's and back, by the rules of the family's table.

A key of the family that no rule names is an error, and so is a choice of the TriEmbed model that no rule can express.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, PreTrainedConfig

from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Config, ConfigRule, ConversionError
from hf_embeddings.loading.sentence_models import OF_A_RERANKER
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

# What transformers writes into any config.json and no encoder's forward pass reads.
LIBRARY_KEYS = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _name_or_path architectures attn_implementation auto_map
    bad_words_ids begin_suppress_tokens bos_token_ids chunk_size_feed_forward cls_token_id
    cross_attention_hidden_size decoder_start_token_id directionality diversity_penalty do_sample dtype
    early_stopping encoder_no_repeat_ngram_size eos_token_ids exponential_decay_length_penalty finetuning_task
    forced_bos_token_id forced_eos_token_id gradient_checkpointing is_encoder_decoder language length_penalty
    mask_token_id max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_labels
    num_return_sequences output_attentions output_hidden_states output_past output_scores pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type prefix
    remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id suppress_tokens
    task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_weights_ tokenizer_class top_k top_p
    torch_dtype torchscript transformers_version typical_p unk_token_id use_bfloat16 use_cache
    """.split()
)
# What other tools write into a config.json, and no model reads; it is left out, and said.
TOOL_KEYS = frozenset("js_config transformers.js_config _num_labels custom_pipelines adapters".split())
# What means the same for every family, and travels as it is: labels, and the activation of a reranker's scores.
CARRIED_KEYS = ("id2label", "label2id", "problem_type", *OF_A_RERANKER)
# Fields of ours that change no output, so that a family need not hold them.
OWN_FIELDS = ("padding_free",)


def config_rules(family: Family, head: Head) -> tuple[ConfigRule, ...]:
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
    rules = config_rules(family, head)
    for key in unknown_keys(config, family, head):
        if key not in ignore:
            raise _no_rule(key, config, family)
    fields: Config = {}
    with _ours():
        for rule in rules:
            fields |= rule.forward(config)
    fields |= {key: config[key] for key in CARRIED_KEYS if key in config and key not in fields}
    if "num_labels" in config and "id2label" not in fields:
        fields["num_labels"] = config["num_labels"]
    return config_of(fields)


def unknown_keys(config: Config, family: Family, head: Head) -> list[str]:
    """Return the keys that neither a rule nor a list of what libraries write speaks of."""
    known_keys = {key for rule in (*family.config, *head.config) for key in rule.sources}
    return [key for key in config if key not in known_keys and key not in (LIBRARY_KEYS | {*CARRIED_KEYS})]


def foreign_keys(config: Config, family: Family, head: Head) -> tuple[str, ...]:
    """Return the unknown keys that the model cannot read: of other tools, or no fields of the class that reads it.

    A misspelt key is not among them, nor is any key of a model with code of its own, which may read everything.
    """
    names = []
    fields = _fields_read(config, family)
    for key in unknown_keys(config, family, head):
        if key in TOOL_KEYS or (fields is not None and key not in fields and not _meant(key, family)):
            names.append(key)
    return tuple(names)


def _fields_read(config: Config, family: Family) -> set[str] | None:
    """Return the names of all fields that the reference class can read; None where other code may read the config."""
    of_model = [name for name in config.get("auto_map") or {} if name != "AutoTokenizer"]
    if of_model or family.own_code or family.today_as or family.model_type not in CONFIG_MAPPING:
        return None
    config_class = CONFIG_MAPPING[family.model_type]
    return {*config_class.__dataclass_fields__, *config_class.attribute_map, "quantization_config"}


def _meant(key: str, family: Family) -> str | None:
    """Return the known key that a key is perhaps a misspelling of."""
    known_keys = {key for rule in family.config for key in rule.sources} | LIBRARY_KEYS
    return next(iter(difflib.get_close_matches(key, known_keys, n=1, cutoff=0.8)), None)


def _no_rule(key: str, config: Config, family: Family) -> ConversionError:
    close = _meant(key, family)
    return ConversionError(
        f"config: no rule for {key!r} ({config[key]!r}) of {family.name}"
        + (f"; did you mean {close!r}?" if close else "")
        + f"; if it changes no output, give --ignore-key {key}"
    )


def config_of(fields: Config) -> TriEmbedConfig:
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
    rules = config_rules(family, head)
    labels = {key: getattr(config, key, None) for key in CARRIED_KEYS}
    values = fields_of(config) | labels
    result: Config = {"model_type": family.model_type} | family.written
    for rule in rules:
        result |= rule.backward(values)
    target_names = {target for rule in rules for target in rule.targets}
    for name, value in values.items():
        if name in target_names or name in labels or name in OWN_FIELDS:
            continue
        if value != (default := DEFAULTS.get(name)):
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
