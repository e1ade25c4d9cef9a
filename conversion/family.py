"""A family of checkpoints as one table: its config and weights, its task models, and what reads its layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import transformers
from transformers import PreTrainedModel

from hf_embeddings.conversion.rules import Computed, Config, ConfigRule, Weight
from hf_embeddings.model import modeling_triembed
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel


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
