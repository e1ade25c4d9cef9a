"""Objectives: each a sum of losses, its number of labels, and how many of them were answered right."""

from typing import NamedTuple

import torch
from torch import nn


class Score(NamedTuple):
    """Sums over labels; a mean is taken once, over all micro-batches and processes, never as a mean of means."""

    loss: torch.Tensor  # () nats, summed
    count: torch.Tensor  # () labels
    correct: torch.Tensor  # () labels whose highest score was right


def score(logits: torch.Tensor, labels: torch.Tensor) -> Score:
    """Sum the cross-entropy in fp32 of logits (M, V) for labels (M,)."""
    loss = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
    correct = (logits.argmax(dim=-1) == labels).sum()
    return Score(loss, torch.tensor(len(labels), device=logits.device), correct)


def mlm(outputs, batch: dict[str, torch.Tensor]) -> Score:
    """Score the hidden tokens."""
    return score(outputs.prediction_logits, batch["labels"])


def nsp(outputs, batch: dict[str, torch.Tensor]) -> Score:
    """Score whether the second segment follows the first."""
    return score(outputs.seq_relationship_logits, batch["next_sentence_label"])


def label_count(name: str, batch: dict[str, torch.Tensor]) -> int:
    """Number of labels that an objective has in a batch, known before the forward pass."""
    return len(batch[LABELS[name]])


LABELS = {"mlm": "labels", "nsp": "next_sentence_label"}
OBJECTIVES = {"mlm": mlm, "nsp": nsp}
