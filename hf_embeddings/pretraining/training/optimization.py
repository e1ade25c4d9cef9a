"""Optimizers by name, with decay on the weights of linear layers only; learning rates as functions of progress."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from hf_embeddings.model.layers import Layer
from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.training.muon import Muon


def build_optimizers(model: nn.Module, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together hold every parameter once; each group's `initial_lr` is its peak."""
    optimizers = OPTIMIZERS[options.optimizer](model, options)
    for group in groups_of(optimizers):
        group["initial_lr"] = group["lr"]
    return optimizers


def groups_of(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[dict[str, Any]]:
    """Yield the parameter groups of all optimizers."""
    return itertools.chain.from_iterable(optimizer.param_groups for optimizer in optimizers)


def _adamw(model: nn.Module, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    """AdamW (https://arxiv.org/abs/1711.05101), fused, over matrices with weight decay and everything else without."""
    matrices, rest = _divided(model)
    return [_fused_adamw(matrices, rest, options, peak=options.learning_rate)]


def _muon(model: nn.Module, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    """Muon on the matrices of the encoder, AdamW, with a peak of its own where one is given, on everything else."""
    matrices, rest = _divided(model)
    hidden = {id(p) for layer in model.modules() if isinstance(layer, Layer) for p in layer.parameters()}
    inner = [p for p in matrices if id(p) in hidden]
    outer = [p for p in matrices if id(p) not in hidden]
    muon = Muon(inner, lr=options.learning_rate, weight_decay=options.weight_decay)
    return [muon, _fused_adamw(outer, rest, options, peak=options.adamw_learning_rate or options.learning_rate)]


def _divided(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Part the weights of linear layers from what weight decay does not suit.

    The role decides, not the shape: scales and offsets of position types have two dimensions too (a row for each side,
    a column for each head), and a weight that is tied to a table is a table, of which a step touches a few rows.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    linear = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)} - tables
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (matrices if id(parameter) in linear else rest).append(parameter)
    return matrices, rest


def _fused_adamw(
    decayed_parameters: list[nn.Parameter],
    other_parameters: list[nn.Parameter],
    options: TrainingOptions,
    *,
    peak: float,
) -> torch.optim.AdamW:
    groups = [
        {"params": decayed_parameters, "weight_decay": options.weight_decay},
        {"params": other_parameters, "weight_decay": 0.0},
    ]
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.AdamW(groups, lr=peak, betas=betas, eps=options.adam_epsilon, fused=True)


def set_learning_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Give every group so much of its peak."""
    for group in groups_of(optimizers):
        group["lr"] = group["initial_lr"] * factor


def rate_factor(options: TrainingOptions, step: int, fraction: float) -> float:
    """Return the share of the peak learning rate that holds in a step, by its phase or by the whole run.

    Args:
        options: of the run.
        step: number of the step, from 0.
        fraction: of the run that is done, from 0 to 1; it may follow the hours.
    """
    first, before = 0, 0.0
    for phase in options.parts():
        if phase.schedule is None:
            return schedule_factor(fraction, options)
        steps, peak = phase.steps or 0, (phase.learning_rate or options.learning_rate) / options.learning_rate
        done = step - first
        if done < phase.warmup_steps:
            return before + (peak - before) * done / phase.warmup_steps
        schedule = SCHEDULES[phase.schedule]
        if done < steps:
            return peak * schedule(1 - (done - phase.warmup_steps) / (steps - phase.warmup_steps), options)
        first, before = first + steps, peak * schedule(0.0, options)
    return before  # a step after the end


def schedule_factor(progress: float, options: TrainingOptions) -> float:
    """Rise linearly to 1 over the warmup, then follow the schedule; `progress` runs from 0 to 1."""
    if progress < options.warmup_fraction:
        return progress / options.warmup_fraction
    remaining = (1 - progress) / max(1 - options.warmup_fraction, 1e-9)
    return SCHEDULES[options.schedule](min(max(remaining, 0.0), 1.0), options)


def _linear(remaining: float, options: TrainingOptions) -> float:
    return remaining


def _cosine(remaining: float, options: TrainingOptions) -> float:
    return 0.5 * (1 - math.cos(math.pi * remaining))


def _warmup_stable_decay(remaining: float, options: TrainingOptions) -> float:
    """Stay at the peak, then fall as 1 - sqrt over the last part (https://arxiv.org/abs/2405.18392)."""
    if remaining >= options.decay_fraction:
        return 1.0
    return _one_minus_sqrt(remaining / options.decay_fraction, options)


def _one_minus_sqrt(remaining: float, options: TrainingOptions) -> float:
    return 1 - math.sqrt(1 - remaining)


def _constant(remaining: float, options: TrainingOptions) -> float:
    return 1.0


OPTIMIZERS = {"adamw": _adamw, "muon": _muon}
SCHEDULES = {
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _warmup_stable_decay,
    "constant": _constant,
    "sqrt": _one_minus_sqrt,
}
