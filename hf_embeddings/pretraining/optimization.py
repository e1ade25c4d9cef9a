"""AdamW without decay on biases, norms and embeddings, and the learning rate as a function of progress."""

import torch
from torch import nn

from hf_embeddings.pretraining.options import TrainingOptions


def build_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """Return a fused AdamW over two groups: matrices with weight decay, everything else without."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    decayed, kept = [], []
    for parameter in model.parameters():
        (decayed if parameter.dim() > 1 and id(parameter) not in tables else kept).append(parameter)
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=betas, eps=options.adam_epsilon, fused=True)


def learning_rate(progress: float, options: TrainingOptions) -> float:
    """Rise linearly over the warmup, then fall linearly to 0; `progress` runs from 0 to 1."""
    if progress < options.warmup_fraction:
        return options.learning_rate * progress / options.warmup_fraction
    return options.learning_rate * (1 - progress) / max(1 - options.warmup_fraction, 1e-9)
