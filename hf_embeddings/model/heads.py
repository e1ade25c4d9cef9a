"""Heads on top of the encoder, and the one loss that all of them use.

Shapes: B batch, S sequence, D hidden, V vocabulary.
"""

import torch
from torch import nn
from transformers.activations import ACT2FN

from .configuration_triembed import TriEmbedConfig
from .documents import Documents
from .linear_cross_entropy import linear_cross_entropy
from .norms import make_norm


class Transform(nn.Module):
    """norm(act(dense(x))): what stands between the encoder and a last linear layer."""

    def __init__(self, config: TriEmbedConfig, width: int, *, activation: str, has_norm: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, width, bias=config.head_bias)
        self.activation = ACT2FN[activation]
        self.norm = make_norm(config, width) if has_norm else nn.Identity()

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to (..., width)."""
        return self.norm(self.activation(self.dense(hidden_states)))


class Pooler(Transform):
    """Make one state of a sequence: BERT's is tanh of a linear map of the first token."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config, config.hidden_size, activation=config.pooler_act, has_norm=config.pooler_norm)
        self.select = POOLINGS[config.classifier_pooling]

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        documents: Documents | None = None,
    ) -> torch.Tensor:
        """Map (B, S, D) to (B, D), or to (N, D) for N packed `documents`; `attention_mask` (B, S) tells padding."""
        return super().forward(self.select(hidden_states, attention_mask, documents))


class PredictionHead(Transform):
    """Score every vocabulary entry: a transform, then the token table with a bias."""

    def __init__(self, config: TriEmbedConfig) -> None:
        rows, width = config.embedding_size or config.hidden_size, config.input_size
        super().__init__(config, width, activation=config.prediction_act or config.hidden_act, has_norm=True)
        self.projection = nn.Linear(width, rows, bias=False) if rows != width else nn.Identity()
        self.decoder = nn.Linear(rows, config.vocab_size, bias=config.decoder_bias)

    def forward(
        self,
        hidden_states: torch.Tensor,
        masked_lm_positions: torch.Tensor | None = None,
        *,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Map (B, S, D) to logits (B, S, V), or (M, V) for the M given indices into the flattened B * S tokens.

        With `labels` it is their `classification_loss` (), for which not all of these logits are held. Both are one
        call of the module, so that what is attached to it acts on both.
        """
        if labels is None:
            return self.decoder(self._states(hidden_states, masked_lm_positions))
        labels = labels.flatten().to(hidden_states.device)
        if masked_lm_positions is None and not torch.compiler.is_compiling():
            masked_lm_positions = (labels != -100).nonzero().flatten()
            labels = labels[masked_lm_positions]
        states = self._states(hidden_states, masked_lm_positions).flatten(0, -2)
        if not _may_be_read(self.decoder):
            return classification_loss(self.decoder(states), labels, num_items_in_batch)
        total = linear_cross_entropy(states, self.decoder.weight, self.decoder.bias, labels)
        return _divide(total, (labels != -100).sum(), num_items_in_batch)

    def _states(self, hidden_states: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
        if positions is not None:
            hidden_states = hidden_states.flatten(0, 1).index_select(0, positions)
        return self.projection(super().forward(hidden_states))


def _may_be_read(layer: nn.Module) -> bool:
    """Tell whether a linear layer is its weight and bias and nothing more, so that it need not be called.

    Adapters, quantization and parametrizations put a class of their own in its place; offloading replaces its
    `forward`; pruning and tensor parallelism hang hooks on it; others give it another kind of weight.
    """
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    has_hooks = any(hooks) or "forward" in vars(layer) or torch.nn.modules.module._has_any_global_hook()
    return type(layer) is nn.Linear and not has_hooks and type(layer.weight) is nn.Parameter


def first_token(
    hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, documents: Documents | None = None
) -> torch.Tensor:
    """Return the state (B, D) of the first token that is not padding, or of the first of each document (N, D)."""
    if documents is not None:
        return hidden_states.flatten(0, 1)[documents.starts()]
    if attention_mask is None or attention_mask.dim() != 2:
        return hidden_states[:, 0]
    first = (attention_mask.to(hidden_states.device) != 0).long().argmax(dim=-1)  # (B,)
    return hidden_states[torch.arange(hidden_states.shape[0], device=hidden_states.device), first]


def mean_token(
    hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, documents: Documents | None = None
) -> torch.Tensor:
    """Return the mean (B, D) of the tokens that are not padding, or of those of each document (N, D)."""
    if documents is not None:
        lengths = torch.tensor(documents.lengths, device=hidden_states.device)
        total = hidden_states.new_zeros(len(lengths), hidden_states.shape[-1])
        total = total.index_add(0, documents.ids.flatten(), hidden_states.flatten(0, 1))
        return total / lengths[:, None]
    if attention_mask is None or attention_mask.dim() != 2:
        return hidden_states.mean(dim=1)
    weights = (attention_mask.to(hidden_states.device) != 0)[..., None].to(hidden_states.dtype)  # (B, S, 1)
    return (hidden_states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


POOLINGS = {"cls": first_token, "mean": mean_token}


def classification_loss(
    logits: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy in fp32, summed over labels other than -100 and divided by their number.

    `num_items_in_batch` (from `Trainer`) is the number of labels in all micro-batches of an optimizer step; dividing by
    it makes gradient accumulation exact. With no label at all the loss is 0, not NaN.
    """
    labels = labels.reshape(-1).to(logits.device)
    loss = nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), labels, reduction="sum")
    return _divide(loss, (labels != -100).sum(), num_items_in_batch)


def regression_loss(
    logits: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Squared error over all elements, divided as in `classification_loss`."""
    labels = labels.to(logits.device).float().reshape(logits.shape)
    loss = nn.functional.mse_loss(logits.float(), labels, reduction="sum")
    return _divide(loss, labels.numel(), num_items_in_batch)


def multi_label_loss(
    logits: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Binary cross-entropy over all elements, divided as in `classification_loss`."""
    labels = labels.to(logits.device).float()
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="sum")
    return _divide(loss, labels.numel(), num_items_in_batch)


def _divide(
    total: torch.Tensor, count: torch.Tensor | int, num_items_in_batch: torch.Tensor | int | None
) -> torch.Tensor:
    divisor = torch.as_tensor(count if num_items_in_batch is None else num_items_in_batch, device=total.device)
    return total / divisor.clamp(min=1)


SEQUENCE_LOSSES = {
    "regression": regression_loss,
    "single_label_classification": classification_loss,
    "multi_label_classification": multi_label_loss,
}
