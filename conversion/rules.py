"""The words in which a family's table is written: what a config key and a weight of one side are on the other.

Every rule knows both ways. A table is read forwards (the family's checkpoint becomes TriEmbed) and backwards (TriEmbed
becomes the family's checkpoint); nothing is written twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from hf_embeddings.loading.sentence_models import OF_A_RERANKER
from hf_embeddings.model import modeling_triembed
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel

Config = dict[str, Any]
REQUIRED = object()  # the default of a key that a config must have


class ConversionError(ValueError):
    """A checkpoint cannot be converted: what was found, what was expected, and the cure."""


@dataclass(frozen=True)
class Key:
    """A config key with the same meaning on both sides; `target` only where TriEmbed has another word for it."""

    source: str
    default: object = REQUIRED
    target: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the family's config."""
        return (self.source,)

    @property
    def targets(self) -> tuple[str, ...]:
        """Fields of TriEmbedConfig."""
        return (self.target or self.source,)

    def forward(self, config: Config) -> Config:
        """Return TriEmbed's fields for the family's config."""
        value = config.get(self.source, self.default)
        if value is REQUIRED:
            raise ConversionError(f"config: {self.source!r} is missing; expected a value")
        return {self.targets[0]: value}

    def backward(self, config: Config) -> Config:
        """Return the family's keys for TriEmbed's fields."""
        return {self.source: config[self.targets[0]]}


@dataclass(frozen=True)
class Fixed:
    """A choice that the family makes in its code and TriEmbed in its config."""

    target: str
    value: object
    sources = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Fields of TriEmbedConfig."""
        return (self.target,)

    def forward(self, config: Config) -> Config:
        """Return the fixed choice."""
        return {self.target: self.value}

    def backward(self, config: Config) -> Config:
        """Return nothing, once the model is known to have made the same choice."""
        if config[self.target] != self.value:
            raise ConversionError(
                f"{self.target}: {config[self.target]!r}, and this family can hold {self.value!r} only"
            )
        return {}


@dataclass(frozen=True)
class Only:
    """A key of the family for which TriEmbed can hold these values only; the first of them is the default."""

    source: str
    values: tuple[object, ...]
    targets = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the family's config."""
        return (self.source,)

    def forward(self, config: Config) -> Config:
        """Return nothing, once the value is known to be one of those."""
        value = config.get(self.source, self.values[0])
        if value not in self.values:
            choices = " or ".join(repr(choice) for choice in self.values)
            raise ConversionError(f"config: {self.source} is {value!r}, and TriEmbed can hold {choices} only")
        return {}

    def backward(self, config: Config) -> Config:
        """Return nothing: the family's default says it."""
        return {}


@dataclass(frozen=True)
class Choice:
    """Keys whose meaning is spread differently over both configs: two functions, each the inverse of the other."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    forward: Callable[[Config], Config]
    backward: Callable[[Config], Config]


@dataclass(frozen=True)
class Unread:
    """Keys that no forward pass of the family reads: they are left out, and not written on the way back."""

    sources: tuple[str, ...]
    targets = ()

    def forward(self, config: Config) -> Config:
        """Return nothing."""
        return {}

    def backward(self, config: Config) -> Config:
        """Return nothing."""
        return {}


ConfigRule = Key | Fixed | Only | Choice | Unread
Tensors = Sequence[torch.Tensor]


def copy(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Leave a tensor as it is."""
    return list(tensors)


def split(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Cut one tensor into `count` equal parts along its rows."""
    return list(tensors[0].chunk(count, dim=0))


def join(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Put tensors on top of each other."""
    return [torch.cat(list(tensors), dim=0)]


@dataclass(frozen=True)
class Operation:
    """What happens to the values on the way; `config` is that of the TriEmbed model, `count` the number of results."""

    forward: Callable[[Tensors, Mapping[str, Any], int], list[torch.Tensor]]
    backward: Callable[[Tensors, Mapping[str, Any], int], list[torch.Tensor]]


def repeat(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Give each layer a copy of the weight that all share."""
    return [tensors[0].clone() for _ in range(count)]


def the_same(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Return the one weight that all layers have.

    Raises:
        ConversionError: they differ.
    """
    first = tensors[0]
    if not first.is_meta and not all(torch.equal(first, other) for other in tensors):
        raise ConversionError("the layers differ, and this family has one set of weights for all of them")
    return [first]


COPY = Operation(copy, copy)
SHARED = Operation(repeat, the_same)  # one layer of the family is every layer of TriEmbed's
SPLIT = Operation(split, join)  # one fused tensor of the family is several of TriEmbed's


@dataclass(frozen=True)
class Weight:
    """Modules or parameters that are the same on both sides, up to `operation`; `{}` stands for the layer number.

    A rule speaks of everything below its names: `("dense", "out")` covers `dense.weight` and `dense.bias`. Where only
    the target has `{}`, the layers of the family share the weight.
    """

    source: str | tuple[str, ...]
    target: str | tuple[str, ...]
    operation: Operation = COPY

    @property
    def sources(self) -> tuple[str, ...]:
        """Names on the family's side."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def targets(self) -> tuple[str, ...]:
        """Names on TriEmbed's side."""
        return (self.target,) if isinstance(self.target, str) else self.target


@dataclass(frozen=True)
class Computed:
    """A tensor that a family stores and its config determines: checked on the way in, made on the way out."""

    source: str
    make: Callable[[Mapping[str, Any]], torch.Tensor]  # of the config of the TriEmbed model


@dataclass(frozen=True)
class Head:
    """A task model of the family, the TriEmbed class that equals it, and the weights beyond the encoder's."""

    target: str
    weights: tuple[Weight, ...] = ()
    # A second name under which some checkpoints store a weight again: it must be equal to the first.
    same: Mapping[str, str] = field(default_factory=dict)
    config: tuple[ConfigRule, ...] = ()

    @property
    def model_class(self) -> type[TriEmbedPreTrainedModel]:
        """The TriEmbed class."""
        return getattr(modeling_triembed, self.target)

    @property
    def is_encoder(self) -> bool:
        """Whether it is the encoder alone."""
        return self.model_class is TriEmbedModel


@dataclass(frozen=True)
class LayoutCode:
    """The file that runs a layout that transformers does not run; it is written beside the weights."""

    module: ModuleType  # flat: it imports torch and transformers only
    prefix: str  # of its classes, before the name of the family's class
    heads: Mapping[str, str]  # Auto class -> end of the class's name
    note: str  # what a reader of the card has to know

    @property
    def file(self) -> Path:
        """The file."""
        return Path(str(self.module.__file__))

    def auto_map(self, stem: str) -> dict[str, str]:
        """Return what config.json tells the Auto classes; `stem` starts the names of transformers' classes."""
        return {auto: f"{self.file.stem}.{self.prefix}{stem}{head}" for auto, head in self.heads.items()}


OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclass(frozen=True)
class Family:
    """One kind of checkpoint: how its config and its weights are called, and what they are called here."""

    model_type: str
    prefix: str  # under which task models hold the encoder
    config: tuple[ConfigRule, ...]
    encoder: tuple[Weight, ...]  # names without the prefix
    heads: Mapping[str, Head]
    tokenizer_class: str
    renamed: Mapping[str, str] = field(default_factory=lambda: OLD_ENDINGS)  # endings of older releases -> today's
    unread: tuple[str, ...] = ()  # patterns of tensors that no forward pass reads
    optional: tuple[str, ...] = ()  # modules that a bare encoder may lack
    computed: tuple[Computed, ...] = ()  # names without the prefix
    # For layouts that share their model type with another family:
    name: str = ""  # by which it is asked for; the model type if empty
    # Config keys that tell it apart, with their values; None where the key alone does.
    marks: Mapping[str, tuple[object, ...] | None] = field(default_factory=dict)
    written: Config = field(default_factory=dict)  # keys to write beyond those of the rules
    own_code: LayoutCode | None = None  # where transformers has no such model
    # The table under which transformers runs it, where its config is older or another: it is read, and not written.
    today_as: "Family | None" = None
    # Sizes by which it is told apart where config.json names no `model_type`.
    typical: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.model_type)

    @property
    def token_table(self) -> str:
        """Name of the table of tokens, without the prefix."""
        return next(rule.sources[0] for rule in self.encoder if "embeddings.token" in rule.targets) + ".weight"

    def today(self, name: str) -> str:
        """Return today's name of a weight that an older release may have called otherwise."""
        for old, new in self.renamed.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        return name

    def class_name(self, architecture: str) -> str:
        """Return the name of the class that reads an architecture: transformers' own, or that of `own_code`."""
        return f"{self.own_code.prefix if self.own_code else ''}{architecture}"

    def class_of(self, architecture: str) -> type[PreTrainedModel]:
        """Return the class that reads an architecture."""
        code = self.own_code.module if self.own_code else transformers
        model_class: type[PreTrainedModel] = getattr(code, self.class_name(architecture))
        return model_class


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
