"""Heads on top of the encoder, and the one loss that all of them use.

Shapes: B batch, S sequence, D hidden, V vocabulary.
"""

import torch
from torch import nn
from transformers.activations import ACT2FN


class Pooler(nn.Module):
    """tanh of a linear map of the first token (BERT)."""

    def __init__(self, config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D) to (B, D)."""
        return torch.tanh(self.dense(hidden_states[:, 0]))


class PredictionHead(nn.Module):
    """Score every vocabulary entry: norm(act(dense(x))), then the token table with a bias."""

    def __init__(self, config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, bias=config.norm_bias)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden_states: torch.Tensor, masked_lm_positions: torch.Tensor | None = None) -> torch.Tensor:
        """Map (B, S, D) to logits (B, S, V), or (M, V) for the M given indices into the flattened B * S tokens."""
        if masked_lm_positions is not None:
            hidden_states = hidden_states.flatten(0, 1).index_select(0, masked_lm_positions)
        return self.decoder(self.norm(self.activation(self.dense(hidden_states))))


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


def _divide(total: torch.Tensor, count: torch.Tensor | int, num_items_in_batch: torch.Tensor | int | None):
    divisor = torch.as_tensor(count if num_items_in_batch is None else num_items_in_batch, device=total.device)
    return total / divisor.clamp(min=1)


SEQUENCE_LOSSES = {
    "regression": regression_loss,
    "single_label_classification": classification_loss,
    "multi_label_classification": multi_label_loss,
}
