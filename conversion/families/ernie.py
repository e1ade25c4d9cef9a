"""ERNIE (https://arxiv.org/abs/1904.09223): BERT under another name, and in version 3 one row more in the input sum."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from hf_embeddings.conversion.families.bert import BERT, POSITIONS
from hf_embeddings.conversion.rules import Only, Operation, Tensors, Unread, Weight

TASK_TYPES = 3  # rows of the table of tasks; a caller that names no task gets the first


def _add_first_row(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Add the row of the first task to each segment: both are in every input sum."""
    segment, task = tensors
    return [segment + task[:1]]


def _keep_apart(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    segment = tensors[0]
    return [segment, segment.new_zeros(TASK_TYPES, segment.shape[1])]


ERNIE = replace(
    BERT,
    model_type="ernie",
    name="ernie",
    prefix="ernie",
    config=(
        *(rule for rule in BERT.config if rule not in POSITIONS),
        Only("use_task_id", (False,)),
        Unread(("task_type_vocab_size", "position_embedding_type")),
    ),
    heads={
        name.replace("Bert", "Ernie"): replace(
            head, same={second: first.replace("bert.", "ernie.") for second, first in head.same.items()}
        )
        for name, head in BERT.heads.items()
    },
)
ERNIE_TASKS = replace(
    ERNIE,
    name="ernie_tasks",
    marks={"use_task_id": (True,)},
    written={"use_task_id": True, "task_type_vocab_size": TASK_TYPES},
    config=(
        *(rule for rule in ERNIE.config if rule.sources not in (("use_task_id",), ("task_type_vocab_size",))),
        Only("task_type_vocab_size", (TASK_TYPES,)),
        Only("use_task_id", (True,)),
    ),
    encoder=(
        *(rule for rule in BERT.encoder if "embeddings.segment" not in rule.targets),
        Weight(
            ("embeddings.token_type_embeddings", "embeddings.task_type_embeddings"),
            "embeddings.segment",
            Operation(_add_first_row, _keep_apart),
        ),
    ),
)
