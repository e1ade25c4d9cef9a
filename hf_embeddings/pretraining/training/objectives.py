"""Objectives: which scores answer which labels, and sums over the labels.

A mean is taken once, over all micro-batches and processes, never as a mean of means.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn
from transformers.utils.generic import ModelOutput

from hf_embeddings.pretraining.examples.batches import IGNORED, real_tokens
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.records.run import DEFAULT_WEIGHTS


class Objective(NamedTuple):
    """A classification: its scores among the model's outputs, and its labels in the batch or among the outputs."""

    logits: str  # (N, classes)
    labels: str  # (N,), IGNORED where nothing is predicted
    modules: tuple[str, ...]  # of the model, between the encoder and the scores
    places: str | None = None  # (N,) tokens of the row that they belong to; None where each example has one label
    every_token: bool = False  # it has a label for each token that is no padding


OBJECTIVES = {
    "mlm": Objective("prediction_logits", "labels", ("predictions",), "masked_lm_positions"),
    "nsp": Objective("seq_relationship_logits", "next_sentence_label", ("pooler", "seq_relationship")),
    "sop": Objective("seq_relationship_logits", "next_sentence_label", ("pooler", "seq_relationship")),
    "generator": Objective("prediction_logits", "labels", ("generator",), "masked_lm_positions"),
    "rtd": Objective("detection_logits", "replaced", ("transform", "classifier"), every_token=True),
}
TOKEN_PREDICTIONS = ("mlm", "generator")  # whose labels are the masked tokens
PARTS = {"rtd": ("generator", "rtd")}  # an objective of the options -> the losses that it is made of


class Scores(NamedTuple):
    """How well labels were predicted, (N,) each."""

    losses: np.ndarray  # nats
    correct: np.ndarray  # whether the label has the highest score
    labels: np.ndarray
    examples: np.ndarray  # number of the example in the batch
    positions: np.ndarray  # in the example; 0 where each example has one label
    margins: np.ndarray  # score of class 1 less that of class 0


def parts_of(objectives: Sequence[str]) -> list[str]:
    """Return the names in OBJECTIVES of the losses that these objectives of the options are made of."""
    return [part for name in objectives for part in PARTS.get(name, (name,))]


def weights_of(examples: ExampleOptions) -> list[float]:
    """Return the factor of each of these losses."""
    weights = DEFAULT_WEIGHTS | examples.objective_weights
    return [weights.get(name, 1.0) for name in parts_of(examples.objectives)]


def training_inputs(objectives: Sequence[str], batch: dict[str, torch.Tensor]) -> dict[str, object]:
    """Return what the model is given to sum the loss of `mlm` itself, whose scores would outweigh all else."""
    labels = {"labels": batch["labels"], "num_items_in_batch": 1} if "mlm" in objectives else {}
    return labels | evaluation_inputs(objectives, batch) | {"skip_logits": True}


def evaluation_inputs(objectives: Sequence[str], batch: dict[str, torch.Tensor]) -> dict[str, object]:
    """Return what the model is given beside its input: `rtd` has to know the tokens that it replaces."""
    return {"labels": batch["labels"], "real_tokens": real_tokens(batch)} if "rtd" in objectives else {}


def summed_loss(name: str, outputs: ModelOutput, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum the cross-entropy, in nats and computed in fp32, over the labels of an objective."""
    objective = OBJECTIVES[name]
    logits = outputs.get(objective.logits)
    if logits is None:
        return cast(torch.Tensor, outputs["loss"])
    labels = _labels(objective, outputs, batch)
    return nn.functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")


def label_count(name: str, batch: dict[str, torch.Tensor]) -> int:
    """Number of labels that an objective has in a batch, known before the forward pass."""
    objective = OBJECTIVES[name]
    return real_tokens(batch) if objective.every_token else int((batch[objective.labels] != IGNORED).sum())


def _labels(objective: Objective, outputs: ModelOutput, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return batch[objective.labels] if objective.labels in batch else outputs[objective.labels]


def scores_of(name: str, outputs: ModelOutput, batch: dict[str, torch.Tensor]) -> Scores:
    """Return how well each label of an objective was predicted; outputs hold the scores."""
    objective = OBJECTIVES[name]
    logits, labels = outputs[objective.logits].float(), _labels(objective, outputs, batch)
    losses = nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    examples, positions = torch.arange(len(labels), device=labels.device), torch.zeros_like(labels)
    places = examples if objective.every_token else batch[objective.places] if objective.places else None
    if places is not None:
        examples = torch.searchsorted(batch["cu_seq_lens"].long(), places, right=True) - 1
        positions = batch["position_ids"][0, places]
    columns = (losses, logits.argmax(dim=-1) == labels, labels, examples, positions, logits[:, 1] - logits[:, 0])
    nats, *others = (column[labels != IGNORED].cpu().numpy() for column in columns)
    return Scores(nats.astype(np.float64), *others)
