"""Objectives: which scores answer which labels, and sums over the labels.

A mean is taken once, over all micro-batches and processes, never as a mean of means.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn
from transformers.utils.generic import ModelOutput

from hf_embeddings.pretraining.examples.batches import IGNORED


class Objective(NamedTuple):
    """A classification: its scores among the model's outputs, and its labels in the batch."""

    logits: str  # (N, classes)
    labels: str  # (N,), IGNORED where nothing is predicted
    modules: tuple[str, ...]  # of the model, between the encoder and the scores
    places: str | None = None  # (N,) tokens of the row that they belong to; None where each example has one label


OBJECTIVES = {
    "mlm": Objective("prediction_logits", "labels", ("predictions",), "masked_lm_positions"),
    "nsp": Objective("seq_relationship_logits", "next_sentence_label", ("pooler", "seq_relationship")),
    "sop": Objective("seq_relationship_logits", "next_sentence_label", ("pooler", "seq_relationship")),
}


class Scores(NamedTuple):
    """How well labels were predicted, (N,) each."""

    losses: np.ndarray  # nats
    correct: np.ndarray  # whether the label has the highest score
    labels: np.ndarray
    examples: np.ndarray  # number of the example in the batch
    positions: np.ndarray  # in the example; 0 where each example has one label


def training_inputs(objectives: Sequence[str], batch: dict[str, torch.Tensor]) -> dict[str, object]:
    """Return what the model is given to sum the loss of `mlm` itself, whose scores would outweigh all else."""
    labels = {"labels": batch["labels"], "num_items_in_batch": 1} if "mlm" in objectives else {}
    return labels | {"skip_logits": True}


def summed_loss(name: str, outputs: ModelOutput, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum the cross-entropy, in nats and computed in fp32, over the labels of an objective."""
    objective = OBJECTIVES[name]
    logits, labels = outputs.get(objective.logits), batch[objective.labels]
    if logits is None:
        return cast(torch.Tensor, outputs["loss"])
    return nn.functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")


def label_count(name: str, batch: dict[str, torch.Tensor]) -> int:
    """Number of labels that an objective has in a batch, known before the forward pass."""
    return int((batch[OBJECTIVES[name].labels] != IGNORED).sum())


def scores_of(name: str, outputs: ModelOutput, batch: dict[str, torch.Tensor]) -> Scores:
    """Return how well each label of an objective was predicted; outputs hold the scores."""
    objective = OBJECTIVES[name]
    logits, labels = outputs[objective.logits].float(), batch[objective.labels]
    losses = nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    examples, positions = torch.arange(len(labels), device=labels.device), torch.zeros_like(labels)
    if objective.places:
        examples = torch.searchsorted(batch["cu_seq_lens"].long(), batch[objective.places], right=True) - 1
        positions = batch["position_ids"][0, batch[objective.places]]
    columns = (losses, logits.argmax(dim=-1) == labels, labels, examples, positions)
    nats, *others = (column[labels != IGNORED].cpu().numpy() for column in columns)
    return Scores(nats.astype(np.float64), *others)
