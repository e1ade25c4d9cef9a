"""Gradients of one optimizer step: micro-batches on one process or many, as if they were one batch.

A loss is a sum divided by the number of its labels in the whole step, so neither accumulation nor the number of
processes changes what is optimised. Dropout is drawn from (seed, step, micro-batch), whoever computes it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedConfig

from hf_embeddings.pretraining.examples.batches import inputs_of, joined_batches, real_tokens
from hf_embeddings.pretraining.options import ExampleOptions, TrainingOptions
from hf_embeddings.pretraining.phase_options import MICRO_BATCH_TOKENS
from hf_embeddings.pretraining.training.objectives import (
    label_count,
    parts_of,
    summed_loss,
    training_inputs,
    weights_of,
)
from hf_embeddings.pretraining.training.progress import StepFigures
from hf_embeddings.randomness import random_bits

DRAW_NOTHING = {"mlm", "nsp", "sop"}  # objectives whose passes are without chance


def compute_gradients(
    model: nn.Module,
    micro_batches: list[dict[str, torch.Tensor]],
    examples: ExampleOptions,
    training: TrainingOptions,
    accelerator: Accelerator,
    *,
    seed: int,
    step: int,
) -> StepFigures:
    """Leave the clipped gradient of step `step` in the parameters.

    Args:
        model: as prepared by the accelerator; not wrapped where `training.strict_determinism` is set.
        micro_batches: this process's share; number i of process r is number i * processes + r of the step.
        examples: options of the run.
        training: options of the run.
        accelerator: of the run.
        seed: of the run.
        step: number of the step, from 0.
    """
    objectives, processes = parts_of(examples.objectives), accelerator.num_processes
    strict = training.strict_determinism
    *labels, tokens = _global_counts(micro_batches, objectives, accelerator)
    weights = weights_of(examples)
    rows = []  # of losses, one for each pass
    ordered_sum = OrderedSum(model) if strict else None
    passes = (
        joined_batches(micro_batches, tokens=MICRO_BATCH_TOKENS)
        if _may_join(model, training, examples)
        else micro_batches
    )
    for index, batch in enumerate(passes):
        torch.manual_seed(dropout_seed(seed, step, index * processes + accelerator.process_index))
        last = index == len(passes) - 1
        with _synchronised(model, last):
            batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
            outputs = model(**inputs_of(batch, model), **training_inputs(examples.objectives, batch))
            losses = [
                summed_loss(name, outputs, batch) / max(count, 1)
                for name, count in zip(objectives, labels, strict=True)
            ]
            # DDP and FSDP average over processes; the counts are global already, so that is undone here.
            total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
            accelerator.backward(total * (1 if strict else processes))
        rows.append(torch.stack([loss.detach() for loss in losses]))
        if ordered_sum is not None:
            ordered_sum.add(processes)
    if ordered_sum is not None:
        ordered_sum.finish()
    norm = accelerator.clip_grad_norm_(model.parameters(), training.max_grad_norm)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    totals = _summed(torch.stack(rows), accelerator, in_order=strict)
    return StepFigures(dict(zip(objectives, totals.tolist(), strict=True)), float(norm), tokens)


def dropout_seed(seed: int, step: int, micro_batch: int) -> int:
    """Return the seed of the dropout of one micro-batch."""
    return int(random_bits(seed, "dropout", step, np.array([micro_batch]))[0] >> np.uint64(1))


class OrderedSum:
    """The sum of the gradients of all micro-batches, added in their order, whichever process made which.

    Addition of floating-point numbers depends on the order; here it is that of the micro-batches alone, so that any
    number of processes gets the same bits. Each process sends and receives a gradient for every micro-batch.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._total: torch.Tensor | None = None

    def add(self, processes: int) -> None:
        """Take the gradients out of the parameters, and add those of all processes."""
        self._parameters = [parameter for parameter in self._parameters if parameter.grad is not None]
        own = torch.cat([gradient.flatten() for p in self._parameters if (gradient := p.grad) is not None])
        parts = [own]
        if processes > 1:
            parts = [torch.empty_like(own) for _ in range(processes)]
            torch.distributed.all_gather(parts, own)
        for part in parts:
            self._total = part.clone() if self._total is None else self._total.add_(part)
        for parameter in self._parameters:
            parameter.grad = None

    def finish(self) -> None:
        """Put the sum into the parameters."""
        sizes = [parameter.numel() for parameter in self._parameters]
        assert self._total is not None, "something was added"
        for parameter, part in zip(self._parameters, self._total.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)


def _may_join(model: nn.Module, training: TrainingOptions, examples: ExampleOptions) -> bool:
    """Tell whether several micro-batches of a process may be one pass, which is the same but for rounding, and faster.

    Where something is drawn at random, the draws of a pass depend on what is in it. Where the run states a number of
    micro-batches, that may be for want of memory.
    """
    config = cast(PreTrainedConfig, getattr(model, "module", model).config)
    has_dropout = config.hidden_dropout_prob or config.attention_probs_dropout_prob
    draws = has_dropout or not DRAW_NOTHING.issuperset(examples.objectives)
    is_stated = training.micro_batches or training.gradient_accumulation_steps
    return not (draws or is_stated or training.strict_determinism)


def _summed(rows: torch.Tensor, accelerator: Accelerator, *, in_order: bool) -> torch.Tensor:
    """Add the losses of all passes of all processes, (N, O) of each; in the order of the micro-batches, or in any."""
    if not in_order:
        return accelerator.reduce(rows.sum(dim=0), reduction="sum")
    everyone = accelerator.gather(rows[None])  # (processes, N, O); number i of process r is i * processes + r
    return everyone.transpose(0, 1).reshape(-1, rows.shape[1]).sum(dim=0)


def _synchronised(model: nn.Module, is_last: bool) -> AbstractContextManager[None]:
    """Let a wrapped model exchange gradients in this backward pass, or keep them until the last one."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(is_last)
    return model.no_sync() if isinstance(model, DistributedDataParallel) and not is_last else nullcontext()


def _global_counts(
    micro_batches: list[dict[str, torch.Tensor]], objectives: Sequence[str], accelerator: Accelerator
) -> list[int]:
    """Return the number of labels of each objective, and of real tokens, in the whole step."""
    counts = [sum(label_count(name, batch) for batch in micro_batches) for name in objectives]
    counts.append(sum(real_tokens(batch) for batch in micro_batches))
    return accelerator.reduce(torch.tensor(counts, device=accelerator.device), reduction="sum").tolist()
