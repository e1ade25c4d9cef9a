"""An exponential moving average of the weights, which often evaluates better than the last step's."""

import torch
from torch import nn


class WeightAverage:
    """Average the parameters of a model over its steps: average = decay * average + (1 - decay) * weights.

    The decay grows with the number of steps up to its full value, so that early weights do not linger (as TensorFlow's
    ExponentialMovingAverage has it).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.averages = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights of one more step in."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        pairs = [(self.averages[name], p.detach()) for name, p in model.named_parameters()]
        torch._foreach_lerp_([average for average, _ in pairs], [weights for _, weights in pairs], 1 - decay)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Write the average into a model."""
        for name, parameter in model.named_parameters():
            parameter.copy_(self.averages[name])
