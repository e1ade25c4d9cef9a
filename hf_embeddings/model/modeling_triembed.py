"""TriEmbed: a bidirectional encoder over token + position + segment, and its task models.

Shapes: B batch, S sequence, D hidden, T token table width, H heads, V vocabulary, M masked tokens, N choices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import torch
import transformers
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput, can_return_tuple, logging

# Some are imported only to be seen: older transformers copy just what this file itself imports next to a checkpoint.
from .attention import Attention
from .attention_plan import plan_attention
from .compat import record_outputs
from .configuration_triembed import AUTO_MAP, TriEmbedConfig, renamed_weights
from .discriminators import leaves_head, refuse_prediction, restart_head, stored_config
from .documents import find_documents, take_boundaries
from .embeddings import EmbeddingParts, Embeddings
from .fused_attention import fused_attention  # noqa: F401
from .heads import SEQUENCE_LOSSES, Pooler, PredictionHead, Transform, classification_loss
from .kernels import folds_biases, is_of_engine, refuse_dropped_bias
from .layers import NORM_POSITIONS, Layer, check_recomputable
from .linear_cross_entropy import linear_cross_entropy  # noqa: F401
from .loaded_weights import check_loaded
from .norms import make_norm
from .packing import pack  # noqa: F401
from .padding import Batch, clear_padding, drop_padding
from .placing import place
from .position_biases import AlibiPosition  # noqa: F401
from .position_contents import RelativeKeyPosition  # noqa: F401
from .position_folds import UntiedPosition  # noqa: F401
from .position_paths import ContextAwarePosition  # noqa: F401
from .position_rotations import RotaryPosition  # noqa: F401
from .position_sentences import BilevelPosition  # noqa: F401
from .position_signal import PositionSignal  # noqa: F401
from .position_tables import LearnedPosition  # noqa: F401
from .position_triangles import DualTrianglePosition  # noqa: F401
from .positions import Positions  # noqa: F401
from .recording import is_traced  # noqa: F401
from .relative_products import relative_products  # noqa: F401
from .resizing import check_resize
from .segments import find_segments

logger = logging.get_logger(__name__)

# Arguments of `from_pretrained` that say where a config.json is.
WHERE = ("revision", "subfolder", "cache_dir", "token", "local_files_only", "force_download", "proxies")

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]
Model = TypeVar("Model", bound="TriEmbedPreTrainedModel")


class TriEmbedPreTrainedModel(PreTrainedModel):
    """What transformers needs to know of every TriEmbed model."""

    config: TriEmbedConfig
    config_class = TriEmbedConfig
    new_modules: tuple[str, ...] = ()  # of the task: those that the checkpoint lacked, so that they begin random
    refuses_new_predictions = False  # of a discriminator, whose user means another checkpoint
    takes_choices = False  # inputs (B, N, S), one row of tokens for each of N choices
    base_model_prefix = "triembed"
    supports_gradient_checkpointing = True
    _no_split_modules = ["PostNormLayer", "PreNormLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": Layer, "attentions": Attention}
    # A pretraining checkpoint is loaded for other tasks every day: its heads need no mention in the loading report.
    _keys_to_ignore_on_load_unexpected = [r"(^|\.)(pooler|predictions|seq_relationship)\."]

    def __init__(self, config: TriEmbedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        exact = {name for part in config.position_classes.values() for name in part.kept_exact}
        self._keep_in_fp32_modules_strict = exact

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # A position type: transformers knows the start values of layers only. Asked for by name, because config and
        # model may have been copied from beside different checkpoints, with classes of their own.
        restart = getattr(module, "restart", None)
        if restart is not None:
            restart(self.config)

    def _check_and_adjust_attn_implementation(self, attn_implementation: str | None, *args: Any, **kwargs: Any) -> str:
        if attn_implementation in ALL_ATTENTION_FUNCTIONS or "flash" in (attn_implementation or ""):
            refuse_dropped_bias(self.config, str(attn_implementation))  # before a flash kernel is looked for
        kernel = super()._check_and_adjust_attn_implementation(attn_implementation, *args, **kwargs)
        refuse_dropped_bias(self.config, kernel)
        return kernel

    if TYPE_CHECKING:

        @property
        def base_model(self) -> "TriEmbedModel":
            """The encoder."""

    def get_position_embeddings(self) -> nn.Embedding | None:  # type: ignore[override]  # there may be no table
        """Return the first table of positions, None where positions have no table."""
        tables: list[Any] = [getattr(part, "table", None) for part in self.base_model.embeddings.position.values()]
        return next((table for table in tables if table is not None), None)

    def resize_position_embeddings(self, new_num_position_embeddings: int, how: str = "interpolate") -> None:
        """Give all position tables rows for another number of positions.

        Args:
            new_num_position_embeddings: positions that the model can tell afterwards.
            how: "interpolate" stretches or shrinks the tables, "extend" keeps their rows and repeats them after their
                end, "truncate" keeps the first rows (of relative keys: the inner ones).

        Raises:
            ValueError: no position type of the model has a table, or `how` does not lead to this number.
        """
        base, length = self.base_model, new_num_position_embeddings
        parts = base.embeddings.position
        if not any(part.has_table for part in parts.values()):
            raise ValueError(
                f"resize_position_embeddings: position_embedding_type {self.config.position_embedding_type!r} has no "
                "table; " + "; ".join(part.beyond for part in parts.values())
            )
        check_resize(self.config.max_position_embeddings, length, how)
        pinned_options = {name: part.pinned_options() for name, part in parts.items()}
        scores: list[Any] = [score for layer in base.layers for score in layer.attention.position.values()]
        for part in [*parts.values(), *(score for score in scores if hasattr(score, "resize"))]:
            part.resize(length, how)
        parameters = self.config.position_parameters or {}
        options = {
            name: parameters.get(name, {}) | pinned_options[name]
            for name in parts
            if name in parameters or pinned_options[name]
        }
        self.config.position_parameters = options or None
        self.config.max_position_embeddings = length

    @overload
    @classmethod
    def from_pretrained(
        cls: type[Model], *args: Any, output_loading_info: Literal[False] = False, **kwargs: Any
    ) -> Model: ...

    @overload
    @classmethod
    def from_pretrained(
        cls: type[Model], *args: Any, output_loading_info: Literal[True], **kwargs: Any
    ) -> tuple[Model, dict[str, Any]]: ...

    @classmethod
    def from_pretrained(
        cls: type[Model], *args: Any, output_loading_info: bool = False, **kwargs: Any
    ) -> Model | tuple[Model, dict[str, Any]]:
        """Load as `PreTrainedModel.from_pretrained` does, and refuse a checkpoint that lacks encoder weights.

        A head may be new as a whole; `new_modules` names it. Weights of the encoder may be new with
        `allow_missing_weights=True`, or with `state_dict={}`; a warning names them. `num_hidden_layers` below that of
        the checkpoint keeps the first layers; a warning names those that are left out.

        Raises:
            ValueError: encoder weights or parts of a head are missing from the checkpoint, it holds weights that the
                encoder has no place for, or the head cannot be tied to the token table as the config asks.
        """
        allowed = kwargs.pop("allow_missing_weights", False)
        source = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        place = {name: kwargs[name] for name in WHERE if name in kwargs}
        stored = stored_config(cls.config_class, source, place)
        if renamed := renamed_weights(stored):  # an older format named weights otherwise
            kwargs["key_mapping"] = renamed | (kwargs.get("key_mapping") or {})
        begins_anew = leaves_head(stored, cls.__name__, kwargs)
        sizes = {"ignore_mismatched_sizes": True} if begins_anew else {}
        result: Any = super().from_pretrained(*args, output_loading_info=True, **kwargs | sizes)
        model, info = result
        if begins_anew:
            restart_head(model, info, source, strict=not kwargs.get("ignore_mismatched_sizes"))
        empty = kwargs.get("state_dict") is not None and not kwargs["state_dict"]
        allowed = allowed or empty or (source is None and not info["unexpected_keys"])
        check_loaded(model, source, info, missing_allowed=allowed, place=place)
        if cls.refuses_new_predictions and not allowed:
            refuse_prediction(source, stored, model.new_modules)
        _hold_tie(model, source, info["missing_keys"])
        lacks_pooler = any(k.startswith("pooler") for k in info["missing_keys"])
        if getattr(model, "pooler", None) is not None and lacks_pooler and not allowed:
            logger.warning(f"{source} has no pooler: pooler_output will be None (nothing random is used in its place)")
            model.pooler = None
        return (model, info) if output_loading_info else model


class TriEmbedModel(TriEmbedPreTrainedModel):
    """The encoder: hidden states for each token and, unless left out, a pooled state of the first token."""

    layers: "Sequence[Layer]"

    def __init__(self, config: TriEmbedConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        layer = NORM_POSITIONS[config.norm_position]
        layers = nn.ModuleList(layer(config, index) for index in range(config.num_hidden_layers))
        self.layers = layers  # type: ignore[assignment]  # the list does not say of what
        # Post-norm layers end in a norm of their own.
        self.final_norm = make_norm(config, config.hidden_size) if config.norm_position == "pre" else nn.Identity()
        self.pooler = Pooler(config) if add_pooling_layer else None
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token table."""
        return self.embeddings.token

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token table by a module that maps (B, S) ids to (B, S, T)."""
        self.embeddings.token = value  # type: ignore[assignment]  # only called

    @record_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Encode a batch.

        Documents may be packed into one row, as transformers' `DataCollatorWithFlattening` does: wherever
        `position_ids` do not rise, or at the boundaries `cu_seq_lens_q`, another document starts, and none sees
        another. With `cu_seq_lens_q` the pooled output has one row for each document.

        Where nothing needs the padding that a (B, S) mask shows, the layers run without it (see `padding.py`). In any
        case `last_hidden_state` is 0 there.

        Args:
            input_ids: (B, S) token ids; or give `inputs_embeds`.
            attention_mask: (B, S), 1 for tokens, 0 for padding on either side; or a 4D mask as in transformers.
            token_type_ids: (B, S) segment ids below `type_vocab_size`; zeros if left out.
            position_ids: (1|B, S); if left out, positions count from the first token that is not padding, or from the
                start of each document.
            inputs_embeds: (B, S, T) in place of rows of the token table.
            kwargs: `cu_seq_lens_q` (N + 1,), the boundaries of N documents in the B * S tokens, from 0 to B * S (and
                `cu_seq_lens_k`, `max_length_q`, `max_length_k`, which follow from it);
                `output_hidden_states`, `output_attentions`, `return_dict`; others go to the attention function.
        """
        shape, device = _shape(input_ids, inputs_embeds)
        boundaries, kwargs = take_boundaries(kwargs)
        given_mask = attention_mask
        of_engine = is_of_engine(self.config._attn_implementation)
        documents = None
        if boundaries is not None or not of_engine:  # engines keep documents apart by themselves
            documents = find_documents(shape, position_ids, attention_mask, boundaries)
        position = self.embeddings.position
        token_types, pair_types = position.split(folding=folds_biases(self.config._attn_implementation, device))
        token_positions, pair_positions = place(
            position,
            (token_types, pair_types),
            shape=shape,
            position_ids=position_ids,
            attention_mask=attention_mask,
            device=device,
            documents=documents,
        )
        segments = find_segments(
            position,
            token_positions,
            shape=shape,
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            documents=documents,
        )
        tokens = None
        if attention_mask is not None:
            tokens = drop_padding(Batch(self, shape, attention_mask.to(device), position_ids, kwargs), documents)
        if tokens is not None:
            input_ids, token_type_ids, inputs_embeds = map(tokens.take, (input_ids, token_type_ids, inputs_embeds))
            token_positions, pair_positions = map(tokens.take, (token_positions, pair_positions))
            segments = tokens.take(segments)
            attention_mask, documents = None, tokens.documents
        signal = token_types(token_positions, self.embeddings.dtype, segments)
        hidden_states = self.embeddings(input_ids, token_type_ids, signal=signal, inputs_embeds=inputs_embeds)
        masks, signal, packing_arguments = plan_attention(
            self.config,
            hidden_states,
            attention_mask,
            signal=signal,
            pairs=pair_types,
            position_ids=pair_positions,
            documents=documents,
            windows={layer.attention.sliding_window for layer in self.layers},
        )
        if self.gradient_checkpointing and self.training and not torch.compiler.is_compiling():
            check_recomputable(self._gradient_checkpointing_func, signal._replace(summand=None), packing_arguments)
        for layer in self.layers:
            window = layer.attention.sliding_window
            hidden_states = layer(hidden_states, masks[window], signal, **packing_arguments, **kwargs)
        hidden_states = self.final_norm(hidden_states)
        hidden_states = clear_padding(hidden_states, given_mask) if tokens is None else tokens.put_back(hidden_states)
        pooler_output = None
        if self.pooler is not None:
            pooler_output = self.pooler(hidden_states, given_mask, None if boundaries is None else documents)
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=pooler_output)

    def embedding_parts(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> EmbeddingParts:
        """Return token, position and segment embeddings apart, as `forward` adds them up before norm and dropout."""
        shape, device = _shape(input_ids, inputs_embeds)
        position = self.embeddings.position
        tokens, _ = position.split(folding=True)
        [place_ids] = place(
            position, (tokens,), shape=shape, position_ids=position_ids, attention_mask=attention_mask, device=device
        )
        segments = find_segments(
            position,
            place_ids,
            shape=shape,
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
        )
        signal = tokens(place_ids, self.embeddings.dtype, segments)
        return self.embeddings.parts(input_ids, token_type_ids, signal=signal, inputs_embeds=inputs_embeds)


@dataclass
class TriEmbedForPreTrainingOutput(ModelOutput):
    """Outputs of `TriEmbedForPreTraining`, in the order of transformers' `BertForPreTrainingOutput`."""

    loss: torch.Tensor | None = None  # () sum of both losses, where both labels are given
    prediction_logits: torch.Tensor | None = None  # (B, S, V) or (M, V); None with `skip_logits`
    seq_relationship_logits: torch.Tensor | None = None  # (B, 2): 0 "follows", 1 "is from elsewhere"
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class _TiedHeadModel(TriEmbedPreTrainedModel):
    """A model whose prediction head shares the token table."""

    predictions: PredictionHead
    _tied_weights_keys = {"predictions.decoder.weight": "triembed.embeddings.token.weight"}

    def get_output_embeddings(self) -> nn.Linear:
        """Return the layer that scores the vocabulary."""
        return self.predictions.decoder

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replace the layer that scores the vocabulary."""
        self.predictions.decoder = value

    def _predict(
        self,
        hidden_states: torch.Tensor,
        labels: torch.Tensor | None,
        positions: torch.Tensor | None,
        num_items_in_batch: torch.Tensor | int | None,
        skip_logits: bool,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return the loss, where there are labels, and the logits, unless they are to be skipped."""
        if skip_logits:
            if labels is None:
                return None, None
            loss = self.predictions(hidden_states, positions, labels=labels, num_items_in_batch=num_items_in_batch)
            return loss, None
        logits = self.predictions(hidden_states, positions)
        return None if labels is None else classification_loss(logits, labels, num_items_in_batch), logits


class TriEmbedForPreTraining(_TiedHeadModel):
    """Masked language modeling and next sentence prediction together, as BERT is pretrained."""

    # Two losses with two label counts: no single count that Trainer could pass would be right for both.
    accepts_loss_kwargs = False

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config)
        self.predictions = PredictionHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        next_sentence_label: torch.Tensor | None = None,
        masked_lm_positions: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        skip_logits: bool = False,
        **kwargs: Any,
    ) -> TriEmbedForPreTrainingOutput:
        """Score tokens and sentence pairs.

        Args:
            input_ids: as in `TriEmbedModel`, and so are the four that follow.
            attention_mask: see there.
            token_type_ids: see there.
            position_ids: see there.
            inputs_embeds: see there.
            labels: (B, S) token ids, -100 where nothing is predicted; (M,) with `masked_lm_positions`.
            next_sentence_label: (B,), 0 where the second segment follows the first, 1 where it does not, -100 to skip.
            masked_lm_positions: (M,) indices into the flattened B * S tokens: only these are scored, which saves most
                of the head's work.
            num_items_in_batch: what the loss of `labels` is divided by, in place of their number.
            skip_logits: return no `prediction_logits`, whose loss then takes less memory and time.
            kwargs: passed on to `TriEmbedModel`.
        """
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        loss, prediction_logits = self._predict(
            outputs.last_hidden_state, labels, masked_lm_positions, num_items_in_batch, skip_logits
        )
        seq_relationship_logits = self.seq_relationship(outputs.pooler_output)
        if next_sentence_label is not None:
            next_sentence_loss = classification_loss(seq_relationship_logits, next_sentence_label)
            loss = next_sentence_loss if loss is None else loss + next_sentence_loss
        return TriEmbedForPreTrainingOutput(
            loss, prediction_logits, seq_relationship_logits, outputs.hidden_states, outputs.attentions
        )


class TriEmbedForMaskedLM(_TiedHeadModel):
    """Masked language modeling."""

    refuses_new_predictions = True

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config, add_pooling_layer=False)
        self.predictions = PredictionHead(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        masked_lm_positions: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        skip_logits: bool = False,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        """Score tokens; the arguments are those of `TriEmbedForPreTraining`."""
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        loss, logits = self._predict(
            outputs.last_hidden_state, labels, masked_lm_positions, num_items_in_batch, skip_logits
        )
        return MaskedLMOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class _ClassifierModel(TriEmbedPreTrainedModel):
    """An encoder with dropout and one linear layer; a subclass says on what, and with which loss."""

    pooled = True

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config, add_pooling_layer=self.pooled)
        self.transform = (
            Transform(config, config.hidden_size, activation=config.pooler_act, has_norm=config.pooler_norm)
            if config.token_transform and not self.pooled
            else nn.Identity()
        )
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(rate)
        self.add_head(config)
        self.post_init()

    def add_head(self, config: TriEmbedConfig) -> None:
        """Create the linear layer."""
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)  # type: ignore[arg-type]  # 2 by default


class TriEmbedForNextSentencePrediction(_ClassifierModel):
    """Tell whether the second segment follows the first."""

    def add_head(self, config: TriEmbedConfig) -> None:
        """Create the linear layer under the name it has in `TriEmbedForPreTraining`."""
        self.seq_relationship = nn.Linear(config.hidden_size, 2)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> NextSentencePredictorOutput:
        """Score pairs: logits (B, 2); `labels` (B,), 0 where the second segment follows, 1 where it does not."""
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        logits = self.seq_relationship(outputs.pooler_output)
        loss = None if labels is None else classification_loss(logits, labels, num_items_in_batch)
        return NextSentencePredictorOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class TriEmbedForSequenceClassification(_ClassifierModel):
    """Classify a text or a pair of texts, or predict numbers for it."""

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Score texts: logits (B, num_labels).

        `config.problem_type` chooses the loss; where it is None the labels decide, as in transformers: one label is a
        regression, integer labels are classes, float labels are several classes at once.
        """
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        loss = None
        if labels is not None:
            problem: ProblemType | None = self.config.problem_type
            if problem is None:
                problem = _problem_type(self.config.num_labels or 0, labels)
                self.config.problem_type = problem
            loss = SEQUENCE_LOSSES[problem](logits, labels, num_items_in_batch)
        return SequenceClassifierOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class TriEmbedForTokenClassification(_ClassifierModel):
    """Classify each token."""

    pooled = False

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """Score tokens: logits (B, S, num_labels); `labels` (B, S), -100 to skip."""
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        logits = self.classifier(self.dropout(self.transform(outputs.last_hidden_state)))
        loss = None if labels is None else classification_loss(logits, labels, num_items_in_batch)
        return TokenClassifierOutput(loss, logits, outputs.hidden_states, outputs.attentions)


class TriEmbedForQuestionAnswering(_ClassifierModel):
    """Find where the answer starts and ends."""

    pooled = False

    def add_head(self, config: TriEmbedConfig) -> None:
        """Create the linear layer under transformers' name for it."""
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput:
        """Score spans: start and end logits (B, S); positions (B,), at or beyond S where the answer was cut off."""
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        hidden_states = self.dropout(self.transform(outputs.last_hidden_state))
        start_logits, end_logits = self.qa_outputs(hidden_states).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            length = start_logits.shape[1]
            losses = [
                classification_loss(logits, labels.masked_fill(labels >= length, -100), num_items_in_batch)
                for logits, labels in ((start_logits, start_positions), (end_logits, end_positions))
            ]
            loss = (losses[0] + losses[1]) / 2
        return QuestionAnsweringModelOutput(loss, start_logits, end_logits, outputs.hidden_states, outputs.attentions)


class TriEmbedForMultipleChoice(_ClassifierModel):
    """Choose one of several continuations."""

    takes_choices = True

    def add_head(self, config: TriEmbedConfig) -> None:
        """Create the linear layer: one score for each choice."""
        self.classifier = nn.Linear(config.hidden_size, 1)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> MultipleChoiceModelOutput:
        """Score choices: all inputs have shape (B, N, S), logits (B, N); `labels` (B,) below N."""
        inputs = input_ids if input_ids is not None else inputs_embeds
        flat = [
            None if tensor is None else tensor.flatten(0, 1)
            for tensor in (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        ]
        outputs = self.triembed(*flat, **kwargs)
        assert inputs is not None, "the encoder has looked"
        logits = self.classifier(self.dropout(outputs.pooler_output)).view(-1, inputs.shape[1])
        loss = None if labels is None else classification_loss(logits, labels, num_items_in_batch)
        return MultipleChoiceModelOutput(loss, logits, outputs.hidden_states, outputs.attentions)


def _shape(input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor | None) -> tuple[tuple[int, int], torch.device]:
    if (input_ids is None) == (inputs_embeds is None):
        which = "both" if input_ids is not None else "neither"
        raise ValueError(f"input_ids and inputs_embeds: got {which}, expected exactly one of them")
    tensor = input_ids if input_ids is not None else inputs_embeds
    assert tensor is not None, "one of them is given"
    if tensor.shape[1] == 0:
        raise ValueError("input_ids: got a sequence of 0 tokens, expected at least 1")
    return (tensor.shape[0], tensor.shape[1]), tensor.device


def _hold_tie(model: PreTrainedModel, source: object, missing: Iterable[str]) -> None:
    """Raise ValueError where the decoder should be the token table and is not; transformers only logs it."""
    decoder = model.get_output_embeddings()
    if decoder is None or not model.config.tie_word_embeddings:
        return
    scores, table = decoder.weight, model.get_input_embeddings().weight
    if scores is table or table.is_meta:  # offloaded
        return
    if not scores.is_meta and "predictions.decoder.weight" not in missing and not torch.equal(scores, table):  # type: ignore[arg-type]  # weights of a layer and of a table
        raise ValueError(
            f"{source}: tie_word_embeddings is true, but predictions.decoder.weight is not the token table; if the "
            "checkpoint holds a decoder of its own, set tie_word_embeddings to false in its config.json"
        )
    model.tie_weights()  # no checkpoint held it, or held it twice, and transformers (such as 5.3) has not tied it
    if model.get_output_embeddings().weight is not table:
        raise ValueError(
            f"{source}: transformers {transformers.__version__} did not tie predictions.decoder.weight to the token "
            "table, so its scores would be random; install the newest transformers"
        )


def _problem_type(num_labels: int, labels: torch.Tensor) -> ProblemType:
    if num_labels == 1:
        return "regression"
    return "multi_label_classification" if labels.is_floating_point() else "single_label_classification"


# Every class registers itself, so that whichever of them is saved, its code is saved with it.
for _auto_class, _path in AUTO_MAP.items():
    _class = globals().get(_path.split(".")[1])  # None: the config, which is not made here
    if _class is not None and "_auto_class" not in vars(_class):  # the first of two Auto classes
        _class.register_for_auto_class(_auto_class)
