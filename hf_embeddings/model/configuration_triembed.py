"""Configuration of TriEmbed: every architectural choice of the encoder, checked when it is made.

Field names are Hugging Face's own where Hugging Face has one. A contradiction or an unknown key is refused here, in
words, before a single weight is allocated.
"""

import copy
import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from transformers.activations import ACT2FN
from transformers.utils import logging

# Some are imported only to be seen: older transformers copy just what this file itself imports next to a checkpoint.
from .compat import PreTrainedConfig, strict
from .documents import Documents  # noqa: F401
from .position_biases import AlibiPosition  # noqa: F401
from .position_contents import RelativeKeyScores  # noqa: F401
from .position_folds import UntiedPosition  # noqa: F401
from .position_paths import ContextAwarePosition  # noqa: F401
from .position_rotations import RotaryPosition  # noqa: F401
from .position_sentences import BilevelPosition  # noqa: F401
from .position_signal import PositionSignal  # noqa: F401
from .position_tables import LearnedPosition  # noqa: F401
from .position_triangles import DualTrianglePosition  # noqa: F401
from .positions import LEFT_OUT, POSITION_TYPES, PositionType
from .recording import is_traced  # noqa: F401
from .relative_products import RelativeRows  # noqa: F401
from .resizing import resized  # noqa: F401

logger = logging.get_logger(__name__)

# The code that travels with a checkpoint, for environments in which this package is not installed.
AUTO_MAP = {
    "AutoConfig": "configuration_triembed.TriEmbedConfig",
    "AutoModel": "modeling_triembed.TriEmbedModel",
    "AutoModelForTextEncoding": "modeling_triembed.TriEmbedModel",
    "AutoModelForPreTraining": "modeling_triembed.TriEmbedForPreTraining",
    "AutoModelForMaskedLM": "modeling_triembed.TriEmbedForMaskedLM",
    "AutoModelForNextSentencePrediction": "modeling_triembed.TriEmbedForNextSentencePrediction",
    "AutoModelForSequenceClassification": "modeling_triembed.TriEmbedForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_triembed.TriEmbedForTokenClassification",
    "AutoModelForQuestionAnswering": "modeling_triembed.TriEmbedForQuestionAnswering",
    "AutoModelForMultipleChoice": "modeling_triembed.TriEmbedForMultipleChoice",
}

# Keys that transformers itself puts into a config.json or passes to a config, beyond the fields of PreTrainedConfig;
# and those in which sentence-transformers keeps the activation function of a reranker.
LIBRARY_KEYS = frozenset(
    "sentence_transformers sbert_ce_default_activation_function "
    "model_type auto_map name_or_path num_labels torch_dtype attn_implementation experts_implementation "
    "output_attentions quantization_config tie_last_hidden_states per_layer_config is_decoder use_cache".split()
)

# Fields of other models in transformers that are spelt nearly as one of ours, and mean something else.
NEAR_BY_CHANCE = frozenset(["norm_epsilon"])


class Upgrade(NamedTuple):
    """What leads from one version of the checkpoint format to the next."""

    config: Callable[[dict[str, object]], dict[str, object]] = dict  # from the old mapping of a config.json to the new
    weights: dict[str, str] = {}  # regular expression for old names -> new name, as in transformers' `key_mapping`


# Version of the checkpoint format. Raise it when a field or a weight is renamed or changes its meaning, and put under
# the old number what leads to the new one. The first checkpoints do not name their version: it is 1.
FORMAT_VERSION = 1
UPGRADES: dict[int, Upgrade] = {}
ROPE_KEYS = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
LARGEST_TABLE_BYTES = 1 << 40
MOST_LAYERS, MOST_LABELS = 1000, 1_000_000  # of each, a list is made: a mistyped number would fill the memory

Config = TypeVar("Config", bound="TriEmbedConfig")


@strict
class TriEmbedConfig(PreTrainedConfig):
    """Architecture of a TriEmbed encoder.

    Args:
        vocab_size: rows of the token table.
        hidden_size: width D of the hidden states; a multiple of `num_attention_heads`.
        num_hidden_layers: number of encoder layers.
        num_attention_heads: heads H of each attention; the head width is K = D / H.
        intermediate_size: width of the feed-forward layer.
        hidden_act: activation of the feed-forward layer, a name of transformers' `ACT2FN`.
        hidden_dropout_prob: dropout on the embedding sum and on every sub-layer output.
        attention_probs_dropout_prob: dropout on attention weights; above 0 training takes longer, as PyTorch's
            fused kernel cannot be used on CPU.
        classifier_dropout: dropout before a task head; None means `hidden_dropout_prob`.
        max_position_embeddings: longest sequence in tokens; the number of rows where a position table exists.
        type_vocab_size: rows of the segment table; 0 leaves segments out.
        position_embedding_type: how order enters the model. One of `POSITION_TYPES`, or several joined by `+`.
        position_parameters: options of position types by type name, as `{"disentangled": {"position_buckets": 64}}`;
            each type documents its own.
        relative_attention_num_buckets: `relative_bias`: buckets of signed distance (T5).
        relative_attention_max_distance: `relative_bias`: distance in tokens from which all share the last bucket (T5).
        embedding_size: width of the three tables, from which a linear map leads to `hidden_size` (ELECTRA, RoFormer);
            None means `hidden_size`, without a map.
        factorised_embeddings: "all" three tables have `embedding_size`, and their normalised sum is mapped; or only the
            "token" table has it, and its rows are mapped before the sum, as in any matrix factorisation of the table.
        embedding_scale: multiply token embeddings by the root of their width, as the original Transformer does.
        embedding_norm: normalise the embedding sum.
        norm_position: "post" normalises after each residual sum (BERT), "pre" before each sub-layer (ModernBERT).
        norm_type: "layer" or "rms" norms; RMS norms have no biases.
        skip_first_norm: with `norm_position` "pre", the first attention reads the embedding sum as it is (ModernBERT).
        feed_forward_type: "plain" is down(act(up(x))), "gated" is down(act(gate(x)) * up(x)) (GLU variants).
        attention_bias: biases in the attention projections.
        mlp_bias: biases in the feed-forward projections.
        mlp_down_bias: bias of the last of them; None means `mlp_bias` (GTE and jina's BERT have this one only).
        norm_bias: biases in the layer norms.
        head_bias: biases in the linear map of the pooler and of the prediction head (ModernBERT has none).
        decoder_bias: a bias for each vocabulary entry in the prediction head.
        prediction_act: activation of the prediction head; None means `hidden_act`.
        classifier_pooling: the state that the pooler starts from: that of the first token ("cls") or the "mean".
        pooler_act: activation of the pooler.
        pooler_norm: a norm after it (ModernBERT).
        token_transform: heads that score tokens have a transform before their last linear map, of the pooler's shape
            (ModernBERT).
        layer_types: per layer "full_attention" or "sliding_attention"; None means all full.
        sliding_window: tokens to either side that a sliding layer sees.
        layer_norm_eps: epsilon of the layer norms.
        initializer_range: standard deviation of the initial weights.
        pad_token_id: id of the padding token, whose embedding starts at zero and is not trained.
        bos_token_id: not used by the model; kept for tokenizers that declare it.
        eos_token_id: not used by the model; kept for tokenizers that declare it.
        tie_word_embeddings: the prediction head shares the token table.
        rope_parameters: (`rope` only) as in transformers: `rope_type` ("default"), `rope_theta` (10,000),
            `partial_rotary_factor`, and what scaled kinds need; or one such dict for each of "full_attention" and
            "sliding_attention" (null: layers of this type do not turn).
        padding_free: drop the padding of a batch before the layers run and put it back after them, where nothing needs
            to see it and it is faster; false never does.
        tasks: the heads of `TriEmbedForMultiTask` by name, each with `problem_type` and `num_labels`, and where needed
            `level` ("sequence" or "token") and `labels` (their names).
        format_version: version of the checkpoint format; older ones are upgraded when they are read.

    Raises:
        ValueError: a value out of range, an unknown key, or two fields that contradict each other.
    """

    model_type = "triembed"
    default_theta = 10_000.0
    base_model_fsdp_plan = {
        "embeddings": "free_full_weight",
        "layers.*": "free_full_weight",
        "final_norm": "keep_full_weight",
    }

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    classifier_dropout: float | int | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    position_embedding_type: str = "learned"
    position_parameters: dict | None = None  # type: ignore[type-arg]  # read by a strict loader
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    embedding_size: int | None = None
    factorised_embeddings: Literal["all", "token"] = "all"
    embedding_scale: bool = False
    embedding_norm: bool = True
    norm_position: Literal["post", "pre"] = "post"
    norm_type: Literal["layer", "rms"] = "layer"
    skip_first_norm: bool = False
    feed_forward_type: Literal["plain", "gated"] = "plain"
    attention_bias: bool = True
    mlp_bias: bool = True
    mlp_down_bias: bool | None = None
    norm_bias: bool = True
    head_bias: bool = True
    decoder_bias: bool = True
    prediction_act: str | None = None
    classifier_pooling: Literal["cls", "mean"] = "cls"
    pooler_act: str = "tanh"
    pooler_norm: bool = False
    token_transform: bool = False
    layer_types: list[str] | None = None
    sliding_window: int | None = None
    layer_norm_eps: float | int = 1e-12
    initializer_range: float | int = 0.02
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    padding_free: bool = True
    tasks: dict[str, dict[str, object]] | None = None
    format_version: int = FORMAT_VERSION

    @classmethod
    def from_dict(cls: type[Config], config_dict: dict[str, object], **kwargs: Any) -> Config:
        """Read the mapping of a config.json, of this format version or an earlier one.

        Keys of other tools are carried along, named once, and saved again.

        Raises:
            ValueError: a key that looks like a misspelt field, or what the constructor raises.
        """
        fields = _cut_layers(upgrade(config_dict), kwargs)
        foreign = _foreign_keys(fields, cls)
        config = super().from_dict({key: fields[key] for key in fields if key not in foreign}, **kwargs)
        if foreign:
            logger.warning_once(f"config.json: {', '.join(foreign)}: of another tool; TriEmbed carries it along unread")
        for key, value in foreign.items():
            result = config[0] if isinstance(config, tuple) else config
            if isinstance(getattr(cls, key, None), property):  # it stays what it is; the key is written back
                vars(result)[key] = value
            else:
                setattr(result, key, value)
        return config

    def __post_init__(self, **kwargs: Any) -> None:
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:  # before its fields, which no rule here is about
            raise ValueError(
                f"model_type: got {model_type!r}, expected {self.model_type!r}; a checkpoint of another family must be "
                "converted first"
            )
        _refuse_unknown_keys(kwargs, known_keys=self.__dataclass_fields__)
        self._check_positions()
        self._check_ranges()
        self._take_rope_parameters(kwargs)
        kwargs["auto_map"] = dict(AUTO_MAP)
        super().__post_init__(**kwargs)
        for part in self.position_classes.values():
            part.check(self)

    @property
    def base_model_tp_plan(self) -> dict[str, str]:  # follows from the config
        """How transformers splits the layers for tensor parallelism."""
        columns = ["attention.query", "attention.key", "attention.value", "feed_forward.up"]
        columns += ["feed_forward.gate"] if self.feed_forward_type == "gated" else []
        plan = {f"layers.*.{name}": "colwise" for name in columns}
        return plan | {f"layers.*.{name}": "rowwise" for name in ("attention.out", "feed_forward.down")}

    @base_model_tp_plan.setter
    def base_model_tp_plan(self, plan: dict[str, str]) -> None:
        # transformers 5.15 and 5.16 add the table of a model whose head is tied, under a name that no table has here
        if {name: style for name, style in plan.items() if name != "embed_tokens"} != self.base_model_tp_plan:
            raise AttributeError("base_model_tp_plan: follows from the config; give a plan of your own as `tp_plan`")

    @property
    def input_size(self) -> int:
        """The width in which token, position and segment are added up."""
        return self.hidden_size if self.factorised_embeddings == "token" else self.embedding_size or self.hidden_size

    @property
    def position_parts(self) -> tuple[str, ...]:
        """The position types that `position_embedding_type` joins by `+`."""
        return tuple(self.position_embedding_type.split("+"))

    @property
    def position_classes(self) -> dict[str, type[PositionType]]:
        """The classes behind `position_parts`, by name."""
        return {part: POSITION_TYPES[part] for part in self.position_parts}

    @property
    def positions_end(self) -> bool:
        """Whether a table of positions ends at `max_position_embeddings`, so that longer input is refused."""
        return any(part.absolute and part.has_table for part in self.position_classes.values())

    def _check_positions(self) -> None:
        parts = self.position_parts
        for part in parts:
            if part not in POSITION_TYPES:
                reason = LEFT_OUT.get(part) or (
                    f"expected one of {', '.join(POSITION_TYPES)}, or several joined by '+'"
                    f"{_nearest(part, POSITION_TYPES)}; a type of your own must be registered first with "
                    "`register_position_type`"
                )
                raise ValueError(f"position_embedding_type: got {self.position_embedding_type!r}; {reason}")
        if len(set(parts)) < len(parts) or ("none" in parts and len(parts) > 1):
            raise ValueError(
                f"position_embedding_type: got {self.position_embedding_type!r}; each part may occur once, and 'none' "
                "only alone"
            )
        self._check_kinds()
        self._check_position_options()

    def _check_kinds(self) -> None:
        kinds: dict[str, str] = {}
        for name, part in self.position_classes.items():
            if part.exclusive is not None and (other := kinds.setdefault(part.exclusive, name)) != name:
                raise ValueError(
                    f"position_embedding_type: got {self.position_embedding_type!r}, but {other!r} and {name!r} are "
                    f"of the kind {part.exclusive!r}; keep one"
                )

    def _check_position_options(self) -> None:
        for name, options in (self.position_parameters or {}).items():
            if name not in self.position_parts:
                raise ValueError(
                    f"position_parameters: given for {name!r}, but position_embedding_type is "
                    f"{self.position_embedding_type!r}; remove them"
                )
            defaults = POSITION_TYPES[name].option_defaults
            for option in options:
                if option not in defaults:
                    hint = f"expected one of {', '.join(defaults)}" if defaults else "this type has no options"
                    raise ValueError(f"position_parameters: {name}.{option}: {hint}{_nearest(option, defaults)}")

    def _take_rope_parameters(self, kwargs: dict[str, object]) -> None:
        # Set only where it means something: transformers treats any model with this attribute as a RoPE model.
        if any(part.rotary for part in self.position_classes.values()):
            self.rope_parameters = copy.deepcopy(kwargs.pop("rope_parameters", None))
            return
        for key in ROPE_KEYS:
            if kwargs.pop(key, None) is not None:
                raise ValueError(
                    f"{key}: given, but position_embedding_type is {self.position_embedding_type!r}; remove {key} "
                    "or use position_embedding_type 'rope'"
                )

    def _check_ranges(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"{name}: got {value}, expected at least {least}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name}: got {value}, expected a probability, 0 <= {name} < 1")
        if not (self.layer_norm_eps > 0 and math.isfinite(self.layer_norm_eps)):
            raise ValueError(
                f"layer_norm_eps: got {self.layer_norm_eps}, expected a small number above 0, such as 1e-12"
            )
        if not (self.initializer_range > 0 and math.isfinite(self.initializer_range)):
            raise ValueError(
                f"initializer_range: got {self.initializer_range}, expected a number above 0, such as 0.02"
            )
        self._check_sizes()
        self._check_choices()

    def _check_sizes(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads: {self.num_attention_heads} does not divide hidden_size {self.hidden_size}; "
                "choose a divisor"
            )
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id: got {self.pad_token_id}, expected an id below vocab_size {self.vocab_size}, or null"
            )
        if self.num_hidden_layers > MOST_LAYERS:
            raise ValueError(f"num_hidden_layers: got {self.num_hidden_layers}, expected at most {MOST_LAYERS}")
        for name in ("vocab_size", "max_position_embeddings", "type_vocab_size", "intermediate_size", "hidden_size"):
            rows = getattr(self, name)
            if (size := rows * self.hidden_size * 4) > LARGEST_TABLE_BYTES:
                raise ValueError(
                    f"{name}: {rows} rows of width {self.hidden_size} would take {size:,} bytes in fp32; expected "
                    f"a table of at most {LARGEST_TABLE_BYTES:,}"
                )

    def _check_choices(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format_version: got {self.format_version}, expected {FORMAT_VERSION}; this checkpoint was made by "
                "another hf-embeddings: install the newest, or uninstall it and load with trust_remote_code=True"
            )
        for name, task in (self.tasks or {}).items():
            self._check_task(name, task)
        for name in ("hidden_act", "prediction_act", "pooler_act"):
            value = getattr(self, name)
            if value is not None and value not in ACT2FN:
                raise ValueError(
                    f"{name}: got {value!r}, expected one of {', '.join(sorted(ACT2FN))}{_nearest(value, ACT2FN)}"
                )
        self._check_agreement()
        self._check_layer_types()

    def _check_agreement(self) -> None:
        if self.factorised_embeddings == "token" and self.embedding_size is None:
            raise ValueError(
                "embedding_size: missing, but factorised_embeddings is 'token'; give the width of the table"
            )
        if self.norm_type == "rms" and self.norm_bias:
            raise ValueError(
                "norm_bias: true, but norm_type is 'rms', whose norms have no biases; set norm_bias to false"
            )
        if self.skip_first_norm and self.norm_position != "pre":
            raise ValueError(
                f"skip_first_norm: true, but norm_position is {self.norm_position!r}, where no norm comes first; "
                "use 'pre'"
            )

    def _check_layer_types(self) -> None:
        types = self.layer_types
        if types is None:
            return
        if len(types) != self.num_hidden_layers:
            raise ValueError(
                f"layer_types: got {len(types)} entries for num_hidden_layers {self.num_hidden_layers}; give one each"
            )
        if unknown := sorted(set(types) - {"full_attention", "sliding_attention"}):
            raise ValueError(f"layer_types: got {unknown[0]!r}, expected 'full_attention' or 'sliding_attention'")
        if "sliding_attention" in types and self.sliding_window is None:
            raise ValueError(
                "sliding_window: missing, but layer_types has 'sliding_attention'; give a number of tokens"
            )

    def _check_task(self, name: str, task: dict[str, object]) -> None:
        choices = {
            "problem_type": ("single_label_classification", "multi_label_classification", "regression"),
            "level": ("sequence", "token"),
        }
        for key, words in choices.items():
            if task.get(key, "sequence") not in words:
                raise ValueError(f"tasks: {name}.{key}: got {task.get(key)!r}, expected one of {', '.join(words)}")
        labels = task.get("num_labels")
        if not isinstance(labels, int) or labels < 1:
            raise ValueError(f"tasks: {name}.num_labels: got {labels!r}, expected a number of labels, at least 1")
        if unknown := sorted(set(task) - {*choices, "num_labels", "labels"}):
            raise ValueError(f"tasks: {name}.{unknown[0]}: not known; expected problem_type, num_labels, level, labels")


LEAST = {
    "vocab_size": 1,
    "hidden_size": 1,
    "embedding_size": 1,
    "num_hidden_layers": 0,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "max_position_embeddings": 1,
    "type_vocab_size": 0,
    "relative_attention_num_buckets": 4,
    "relative_attention_max_distance": 1,
    "sliding_window": 1,
    "chunk_size_feed_forward": 0,
}


def upgrade(config_dict: dict[str, object]) -> dict[str, object]:
    """Return the mapping of a config in the present format, step by step from the version that wrote it."""
    config_dict = dict(config_dict)
    for version in _versions_since(config_dict):
        config_dict = UPGRADES[version].config(config_dict) | {"format_version": version + 1}
    return config_dict


def renamed_weights(config_dict: dict[str, object]) -> dict[str, str]:
    """Return the `key_mapping` for the weights beside a config.json, empty for those of the present format."""
    mapping: dict[str, str] = {}
    for version in _versions_since(config_dict):
        mapping |= UPGRADES[version].weights
    return mapping


def _versions_since(config_dict: dict[str, object]) -> list[int]:
    """Return the versions from that of a config up to the present one; none where a step is not known."""
    first = config_dict.get("format_version", 1)
    steps = list(range(first, FORMAT_VERSION)) if isinstance(first, int) else []
    return steps if all(step in UPGRADES for step in steps) else []


def _cut_layers(config_dict: dict[str, object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Return the mapping of a config.json with as many layers as the caller of `from_pretrained` asks for."""
    count, types = kwargs.get("num_hidden_layers"), config_dict.get("layer_types")
    if not isinstance(count, int) or not isinstance(types, list) or "layer_types" in kwargs:
        return config_dict
    return config_dict | {"num_hidden_layers": count, "layer_types": types[:count]}


def _nearest(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _foreign_keys(fields: Mapping[str, object], config_class: type[PreTrainedConfig]) -> dict[str, object]:
    """Return what other tools wrote into a config.json.

    What is near a field of ours is none of theirs, unless it says the same as the field does; nor is what would hide a
    method of the class.
    """
    ours = {*(field.name for field in dataclasses.fields(config_class)), *LIBRARY_KEYS, *ROPE_KEYS}
    foreign = {}
    for key in [key for key in fields if key not in ours and not key.startswith("_")]:
        hides = hasattr(config_class, key) and not isinstance(getattr(config_class, key), property)
        near = [] if key in NEAR_BY_CHANCE else difflib.get_close_matches(key, ours, n=1, cutoff=0.8)
        if not hides and all(name in fields and fields[name] == fields[key] for name in near):
            foreign[key] = fields[key]
    return foreign


def _refuse_unknown_keys(kwargs: dict[str, object], known_keys: Iterable[str]) -> None:
    """Raise on keys nobody reads; drop private ones, which a downloaded config must not set."""
    for key in list(kwargs):
        if key in LIBRARY_KEYS or key in ROPE_KEYS:
            continue
        if key.startswith("_"):
            value = kwargs.pop(key)
            if key not in ("_name_or_path", "_commit_hash"):
                logger.warning(f"TriEmbedConfig: the private key {key!r} ({value!r}) is ignored")
            continue
        raise ValueError(
            f"{key}: not a field of TriEmbedConfig (got {kwargs[key]!r}); remove it"
            f"{_nearest(key, [*known_keys, *ROPE_KEYS])}"
        )


TriEmbedConfig.register_for_auto_class()
